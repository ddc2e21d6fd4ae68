"""Many face swaps, kept: every target, from every kind of picture, by every tool."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.studies.face_swap import (
    adapted,
    swapper_of_pair,
    swapper_of_prior,
    train_pair,
    train_prior,
)
from benchmarks.studies.face_swap_network import Prior, Swapping
from benchmarks.studies.image_conditions import GIVEN, make_pictures, sheet
from privhead_nb.files import atomic_file
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.heads.head import make_head
from privhead_nb.lab import faces
from privhead_nb.lab.faces import read_kept
from privhead_nb.lab.framing import portrait_cameras
from privhead_nb.lab.jobs import run_jobs
from privhead_nb.lab.raster import photograph
from privhead_nb.lab.recognisers.network import restore
from privhead_nb.lab.table2 import SWAP_SOURCES

NULL = SWAP_SOURCES[-1]
SWAP_TOOLS = ("pair", "prior, injected", "prior, adapted")
SWAPS_VERSION = 1
"""Changes whenever the same people give other swaps."""


@dataclass(frozen=True)
class Tools:
    """How they are trained.

    Args:
        pair: the autoencoder pair, for each target anew.
        prior: the generative prior, once; `adapt` steps for each target.
        others: people of the group "defender" that the prior learns from.
        album: where their portraits are kept.
        folder: where all else is kept.
    """

    pair: Swapping = field(default_factory=Swapping)
    prior: Swapping = field(
        default_factory=lambda: Swapping(steps=1500, batch=16, code=64, adapt=400)
    )
    others: int = 60
    album: str = "out/lab"
    folder: str = "out/lab/tables"

    @property
    def prior_file(self) -> Path:
        """Where the prior is kept."""
        return Path(self.folder) / "prior" / "prior.safetensors"


@dataclass(frozen=True, eq=False)
class _Job:
    plays: Tensor  # (N, 64, 64, 3) of the actor, to be swapped
    known: Tensor  # (M, 64, 64, 3) of the actor, that the pair learns from
    given: Tensor  # (K, 64, 64, 3) of the target
    tools: Tools


def make_prior(tools: Tools, *, workers: int | None = None) -> Prior:
    """The prior, trained once and kept.

    Raises:
        LabError: what is kept is of another version.
    """
    faces.face_dataset(
        faces.people("defender", tools.others), faces.LEARNING, folder=Path(tools.album),
        workers=workers, progress=True,
    )  # fmt: skip
    file = tools.prior_file
    version: dict[str, Any] = {"generator": GENERATOR_VERSION, "swaps": SWAPS_VERSION}
    version |= {"others": tools.others, "prior": asdict(tools.prior)}
    run_jobs({"prior": tools}, _learn, file.parent, version=version, workers=1, desc="prior")
    model = Prior(tools.prior)
    restore(model, read_kept(file), file)
    return model.eval()


def make_swaps(
    given: dict[int, dict[str, Tensor]],
    actor: Callable[[int], int],
    plays: Callable[[int], Tensor],
    tools: Tools,
    *,
    sources: Sequence[str] = SWAP_SOURCES,
    workers: int | None = None,
) -> dict[tuple[int, str], dict[str, Tensor]]:
    """(target, kind of picture) -> tool -> the actor's pictures with the target's face.

    Args:
        given: target -> "given KIND" -> pictures of the target, of `image_conditions.see`.
        actor: target -> who plays.
        plays: actor -> (N, 64, 64, 3) pictures to be swapped.
        tools: how they are trained.
        sources: kinds of picture; NULL gives the actor's own pictures as the target's.
        workers: processes; all cores by default.
    """
    make_prior(tools, workers=workers)
    folder = Path(tools.folder)
    version: dict[str, Any] = {"swaps": SWAPS_VERSION}
    portrayed = make_pictures(
        {str(i): i for i in sorted(set(map(actor, given)))}, _portray, folder / "actors", version,
        workers=workers, desc="actors",
    )  # fmt: skip
    jobs = {}
    for target, pictures in given.items():
        person = actor(target)
        own, shown = portrayed[str(person)]["own"], plays(person)
        for kind in sources:
            jobs[f"{target} {kind}"] = _Job(
                plays=shown,
                known=torch.cat([own, shown]),
                given=own if kind == NULL else pictures[f"given {kind}"],
                tools=tools,
            )
    how = {"pair": asdict(tools.pair), "prior": asdict(tools.prior), "others": tools.others}
    made = make_pictures(
        jobs, _swap, folder / "swaps", version | how, workers=workers, desc="swaps"
    )
    return {(i, kind): made[f"{i} {kind}"] for i in given for kind in sources}


def draw(
    plays: Mapping[int, Tensor],
    made: dict[tuple[int, str], dict[str, Tensor]],
    given: dict[int, dict[str, Tensor]],
    path: Path,
) -> None:
    """A row for each target and kind: the actor twice, what was given, each tool's two swaps."""
    rows = []
    for target, actor in plays.items():
        for kind in SWAP_SOURCES[:-1]:
            swapped = [made[target, kind][tool][:2] for tool in SWAP_TOOLS]
            rows.append(torch.cat([actor, given[target][f"given {kind}"][[10]], *swapped]))
    sheet(rows, path)


def _learn(tools: Tools) -> dict[str, Any]:
    album = faces.face_dataset(
        faces.people("defender", tools.others), faces.LEARNING, folder=Path(tools.album)
    ).views()
    model = train_prior(album.rgb(), album.identity, tools.prior, progress=True)
    with atomic_file(tools.prior_file) as aside:
        save_file(model.state_dict(), aside)
    return {"people": tools.others, "pictures": len(album)}


def _portray(person: int) -> dict[str, Tensor]:
    return {"own": photograph(make_head(person), portrait_cameras(GIVEN))}


def _swap(job: _Job) -> dict[str, Tensor]:
    """All tools on one target and one kind of picture."""
    tools = job.tools
    trained = Prior(tools.prior)
    restore(trained, read_kept(tools.prior_file), tools.prior_file)
    found = {"pair": swapper_of_pair(train_pair(job.known, job.given, tools.pair))}
    for tool, steps in (("prior, injected", 0), ("prior, adapted", tools.prior.adapt)):
        model, who = adapted(trained.eval(), job.given, replace(tools.prior, adapt=steps))
        found[tool] = swapper_of_prior(model, who)
    return {tool: swapper(job.plays) for tool, swapper in found.items()}
