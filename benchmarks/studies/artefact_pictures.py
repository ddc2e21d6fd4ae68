"""What attacks see of a reconstructed person: all that left the device, made into pictures.

Kept beside the reconstruction, since it costs a minute; the attacks that look at it cost little.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.studies.reconstructed_heads import FULL_RGB, Made
from privhead_nb.errors import LabError
from privhead_nb.files import atomic_file
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import faces
from privhead_nb.lab.attacker_data import attacker_data, scan_of_mesh
from privhead_nb.lab.attacks.field_renders import YAWS, renders
from privhead_nb.lab.attacks.radiance_refit import Refit, SkinPrior, learn_skins, refit
from privhead_nb.lab.faces import read_kept
from privhead_nb.lab.framing import SIZE, cameras_around, yaw_of
from privhead_nb.lab.jobs import run_jobs
from privhead_nb.scenes.camera import Cameras, make_rig
from privhead_nb.scenes.scene import HEAD_AXES

ARTEFACT_VERSION = 1
"""Changes whenever the same reconstruction gives other pictures."""
WITHIN = 40.0  # degrees from the front, of the sensitive views that are rendered
LEVEL = 21.0  # degrees of elevation up to which they are


@dataclass(frozen=True, eq=False)
class Artefacts:
    """One person's, under one setting; V differs from field to field, and may be 0 for FULL_RGB.

    Args:
        identity: who.
        setting: the operator's name, or FULL_RGB.
        scan: (3, S, S, 4) int8 of the mesh, see `attacker_data.scan_of_mesh`.
        portraits: (V, H, H, 3) of the field, from the front and 20 degrees to each side.
        sensitive: (V, H, H, 3) of the field, at sensitive cameras.
        refit: (V, H, H, 3) portraits of the mesh in fitted colours.
        plain: (V, H, H, 3) the same in the mean skin.
        neutral: (V, H, H, 3) the neutral views as released.
        moduli: (V, H, H) of the sensitive views rendered, in [0, 1].
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
        album: where the attacker's data are kept.
    """

    others: int = 200
    components: int = 40
    refit: Refit = field(default_factory=Refit)
    album: str = "out/lab"


def make_artefacts(
    made: Iterable[Made], looking: Looking | None = None, **how: Any
) -> list[Artefacts]:
    """Artefacts of reconstructions, made in parallel and kept in each one's folder.

    Args:
        made: at least one.
        looking: settings.
        how: as `run_jobs` takes it: workers, scheduler, progress, overwrite.

    Raises:
        LabError: a kept file is of another version, or jobs failed.
    """
    chosen, all_made = Looking() if looking is None else looking, list(made)
    if not all_made:
        raise LabError("no reconstructions", where="artefacts", remedy="Make some first.")
    run_jobs(
        {f"{m.identity} {m.folder.parent.name}": (m, chosen) for m in all_made},
        _look,
        all_made[0].folder.parents[1] / "looked",
        version={
            "generator": GENERATOR_VERSION,
            "artefacts": ARTEFACT_VERSION,
            **asdict(replace(chosen, album="")),
        },
        desc="artefacts",
        **how,
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


def sensitive_cameras(
    cameras: Cameras, sensitive: Sequence[int], center: Sequence[float]
) -> tuple[Cameras, list[int]]:
    """Sensitive cameras within WITHIN degrees of the front and LEVEL of level.

    Args:
        cameras: of a release.
        sensitive: which of them are.
        center: of the head, mm.

    Returns:
        The cameras, and their places in `sensitive`.

    Raises:
        LabError: there is none.
    """
    away, offset = yaw_of(cameras, center).abs(), cameras.centers.double()
    offset = offset - offset.new_tensor(list(center))
    height = torch.rad2deg(torch.asin(offset[:, 1] / offset.norm(dim=1))).abs()
    near = (away.float() <= WITHIN) & (height.float() <= LEVEL)
    rows = [k for k, v in enumerate(sensitive) if bool(near[v])]
    if not rows:
        raise LabError(f"no sensitive view within {WITHIN:g} degrees of the front", where="views")
    return cameras[[sensitive[k] for k in rows]], rows


@lru_cache(maxsize=1)
def _skins(others: int, components: int, album: str) -> SkinPrior:
    people = faces.people("attacker", others)
    return learn_skins(attacker_data(people, folder=Path(album), workers=1), components)


def _look(job: tuple[Made, Looking]) -> dict[str, Any]:
    made, looking = job
    head, axes = made.reconstruction(), HEAD_AXES
    found = {"portraits": renders(head, cameras_around(head.center, YAWS))}
    residual: float | None = None
    if made.setting == FULL_RGB:
        rig, front, _ = make_rig("facescape", size=SIZE, center=head.center)
        cameras = sensitive_cameras(rig, front, head.center)[0]
        none = torch.zeros(0, SIZE, SIZE, 3)
        found |= {"refit": none, "plain": none, "neutral": none, "moduli": none[..., 0]}
    else:
        release = made.release()
        cameras, rows = sensitive_cameras(release.cameras, release.sensitive, release.center)
        skins = _skins(looking.others, looking.components, looking.album)
        fitted = refit(release, head.mesh, skins, looking.refit)
        residual = round(fitted.residual, 5)
        found |= {
            "refit": fitted.portraits,
            "plain": fitted.plain,
            "neutral": release.neutral_images,
            "moduli": release.moduli[rows] / release.operator.peak,
        }
        axes = (release.up, release.front)
    found["sensitive"] = renders(head, cameras)
    tensors = {k: v.clamp(0, 1).mul(255).round().byte().contiguous() for k, v in found.items()}
    tensors["scan"] = scan_of_mesh(head.mesh, axes).contiguous()
    with atomic_file(made.folder / "artefacts.safetensors") as aside:
        save_file(tensors, aside)
    return {"identity": made.identity, "setting": made.setting, "refit_residual": residual}
