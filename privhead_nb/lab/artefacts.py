"""What attacks see of a reconstructed person: all that left the device, made into pictures.

Of each reconstruction: its mesh as an aligned scan, renders of its field as portraits and at the
sensitive views, the mesh in fitted colours (`radiance_refit`) and in the mean skin, the neutral
views and the moduli. Kept beside the reconstruction, since it costs a minute; the attacks that look
at it cost little.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.files import atomic_file
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.heads.synthetic import RIGS
from privhead_nb.lab import albums
from privhead_nb.lab.attacks.field_renders import portrait_cameras, renders, sensitive_cameras
from privhead_nb.lab.attacks.radiance_refit import Refit, SkinPrior, learn_skins, refit
from privhead_nb.lab.captures import make_captures
from privhead_nb.lab.jobs import run_jobs
from privhead_nb.lab.kept import read_kept
from privhead_nb.lab.reconstructions import FULL_RGB, Made
from privhead_nb.lab.scans import Axes, scan_of_mesh
from privhead_nb.scenes.camera import facescape_rig

ARTEFACT_VERSION = 1
"""Changes whenever the same reconstruction gives other pictures."""
WITHIN = 40.0  # degrees from the front, of the sensitive views that are rendered
LEVEL = 21.0  # degrees of elevation up to which they are


@dataclass(frozen=True, eq=False)
class Artefacts:
    """One person's, under one setting; V differs from field to field.

    Args:
        identity: who.
        setting: the operator's name, or FULL_RGB.
        scan: (3, S, S, 4) int8, see `scans.scan`.
        portraits: (V, H, H, 3) of the field, from the front and 20 degrees to each side.
        sensitive: (V, H, H, 3) of the field, at sensitive cameras.
        refit: (V, H, H, 3) portraits of the mesh in fitted colours; V = 0 for FULL_RGB.
        plain: (V, H, H, 3) the same in the mean skin; V = 0 for FULL_RGB.
        neutral: (V, H, H, 3) the neutral views as released; V = 0 for FULL_RGB.
        moduli: (V, H, H) of the sensitive views rendered, in [0, 1]; V = 0 for FULL_RGB.
    """

    identity: int
    setting: str
    scan: Tensor
    portraits: Tensor
    sensitive: Tensor
    refit: Tensor
    plain: Tensor
    neutral: Tensor
    moduli: Tensor


_PICTURES = ("portraits", "sensitive", "refit", "plain", "neutral", "moduli")


@dataclass(frozen=True)
class Looking:
    """How they are made.

    Args:
        others: how many of the attacker's people the skins are learned from.
        components: of the skins.
        refit: settings of the fit.
        album: where captures are kept.
    """

    others: int = 200
    components: int = 40
    refit: Refit = field(default_factory=Refit)
    album: str = "out/lab"


def make_artefacts(
    made: Iterable[Made],
    looking: Looking | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
    overwrite: bool = False,
) -> list[Artefacts]:
    """Artefacts of reconstructions, made in parallel and kept in each one's folder.

    Raises:
        LabError: a kept file is of another version, or jobs failed.
    """
    chosen = Looking() if looking is None else looking
    all_made = list(made)
    if not all_made:
        raise LabError("no reconstructions", where="artefacts", remedy="Make some first.")
    jobs = {f"{m.identity} {m.folder.parent.name}": (m, chosen) for m in all_made}
    run_jobs(
        jobs,
        _look,
        all_made[0].folder.parents[1] / "looked",
        version={
            "generator": GENERATOR_VERSION,
            "artefacts": ARTEFACT_VERSION,
            **asdict(replace(chosen, album="")),
        },
        workers=workers,
        scheduler=scheduler,
        progress=progress,
        desc="artefacts",
        overwrite=overwrite,
    )
    return [read_artefacts(m) for m in all_made]


def read_artefacts(made: Made) -> Artefacts:
    """What `make_artefacts` kept of one.

    Raises:
        LabError: it can't be read.
    """
    again = "Run make_artefacts again."
    data = read_kept(made.folder / "artefacts.safetensors", ("scan", *_PICTURES), again)
    pictures = {name: data[name].float() / 255 for name in _PICTURES}
    return Artefacts(made.identity, made.setting, data["scan"], **pictures)


@lru_cache(maxsize=1)
def _skins(others: int, components: int, album: str) -> SkinPrior:
    return learn_skins(
        make_captures(albums.people("attacker", others), folder=Path(album), workers=1), components
    )


def _look(job: tuple[Made, Looking]) -> dict[str, Any]:
    made, looking = job
    head = made.reconstruction()
    found: dict[str, Tensor] = {
        "portraits": renders(head, portrait_cameras(head.center)),
    }
    residual: float | None = None
    if made.setting == FULL_RGB:
        rig, front, _ = facescape_rig(
            10, 20, size=albums.SIZE, center=head.center, distance=RIGS["facescape"][1]
        )
        cameras = sensitive_cameras(rig, front, head.center, WITHIN, LEVEL)[0]
        none = torch.zeros(0, albums.SIZE, albums.SIZE, 3)
        found |= {"refit": none, "plain": none, "neutral": none, "moduli": none[..., 0]}
        axes = Axes()
    else:
        release = made.release()
        cameras, rows = sensitive_cameras(
            release.cameras, release.sensitive, release.center, WITHIN, LEVEL
        )
        skins = _skins(looking.others, looking.components, looking.album)
        fitted = refit(release, head.mesh, skins, looking.refit)
        residual = round(float(fitted.residuals.min()), 5)
        found |= {
            "refit": fitted.portraits,
            "plain": fitted.plain,
            "neutral": release.neutral_images,
            "moduli": release.moduli[rows] / release.operator.peak,
        }
        axes = Axes(release.up, release.front)
    found["sensitive"] = renders(head, cameras)
    tensors = {k: v.clamp(0, 1).mul(255).round().byte().contiguous() for k, v in found.items()}
    tensors["scan"] = scan_of_mesh(head.mesh, axes).contiguous()
    with atomic_file(made.folder / "artefacts.safetensors") as aside:
        save_file(tensors, aside)
    return {"identity": made.identity, "setting": made.setting, "refit_residual": residual}
