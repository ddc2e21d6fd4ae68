"""How a run starts: anew, from its template, or where its checkpoint left off; and alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from privhead_nb.errors import OutputError, TrainingError
from privhead_nb.field.model import HeadModel
from privhead_nb.files import claim, clear
from privhead_nb.kernels.dispatch import Backend, check_name, prefer, why_not
from privhead_nb.render.sampling import SdfCache
from privhead_nb.targets import left_over, refuse_inside_sources, resolved
from privhead_nb.training.checkpoint import (
    NAME,
    check_same_run,
    check_tensors,
    model_tensors,
    read_checkpoint,
    restore_model,
)
from privhead_nb.training.profiles import Profile
from privhead_nb.training.reconstruction import FILES, REPORT, Reconstruction
from privhead_nb.training.run import Run
from privhead_nb.training.template import Template


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out; `two_stage.reconstruct` tells each.

    Attributes:
        seed: 0 to 10^18 - 1.
        out: folder for checkpoints and results, or None.
        resume, overwrite: what to do with what `out` holds.
        device: None takes a GPU where there is one.
        progress: None shows bars except under the "ci" profile.
        backend: of all kernels; one that can't run here at all is refused, and what single ops
            lack is theirs to say.
    """

    seed: int = 0
    out: str | Path | None = None
    resume: bool = False
    overwrite: bool = False
    device: str | torch.device | None = None
    progress: bool | None = None
    backend: Backend = "auto"

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 10**18:
            remedy = "Use 0 to 10^18 - 1."
            raise TrainingError(f"the seed is {self.seed}", where="seed", remedy=remedy)
        if self.resume and self.out is None:
            raise TrainingError("there is nothing to resume without an output folder", where="out")
        try:
            check_name("reconstruct", self.backend)
        except ValueError as error:
            raise TrainingError(str(error), where="backend") from error
        known = self.backend in ("auto", "torch")
        reason = None if known else why_not(self.backend, torch.empty(0, device=self.place))
        if reason is not None:
            raise TrainingError(
                f"backend={self.backend!r} can't run here: {reason}",
                where="backend",
                remedy="Use 'auto', which takes what is there, or 'torch'.",
            )

    @property
    def place(self) -> torch.device:
        """The device that is asked for, or else a GPU where there is one."""
        return torch.device(self.device or ("cuda" if torch.cuda.is_available() else "cpu"))

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Inside, no other run writes to `out`, and the kernels take the backend."""
        with prefer(self.backend), nullcontext() if self.out is None else claim(self.out):
            yield


def start_run(
    settings: Profile,
    options: RunOptions,
    described: dict[str, Any],
    mark: str = "",
    template: Template | None = None,
    *,
    linear_light: float,
) -> Run:
    """A run at its beginning (or its template's), or where its checkpoint in `out` left off.

    Args:
        settings: what to train and how.
        options: seed, folder, device and the like.
        described: what report.json shall say of the input.
        mark: fingerprint of the data; a run is resumed on the same alone.
        template: where it starts; the default is a sphere.
        linear_light: how pixels are averaged (`batches.linear_light`).

    Raises:
        OutputError: `out` can't be written, or holds results and may not be replaced.
        TrainingError: the checkpoint is broken or belongs to another run, or the template doesn't
            fit the profile.
    """
    seed, where = options.seed, options.place
    identity = {
        "seed": seed,
        "profile": settings.name,
        "settings": settings.to_dict(),
        "data": mark,
        "stages": described.get("stages"),
        "template": None if template is None else template.fingerprint,
        "linear_light": linear_light,
    }
    model = HeadModel(settings.field, seed=seed).to(where)
    if template is not None:
        template.start(model)
        said = {"template": template.fingerprint, "template_made": template.made}
        described = described | said
    run = Run(
        settings=settings,
        seed=seed,
        model=model,
        generator=torch.Generator(device=where).manual_seed(seed),
        device=where,
        cache=SdfCache(settings.render.cache),
        folder=None,
        show=settings.name != "ci" if options.progress is None else options.progress,
        identity=identity,
        described=described,
    )
    if options.out is None:
        return run
    folder = run.folder = resolved(options.out)
    refuse_inside_sources(folder / NAME)
    _make_writable(folder)
    found = read_checkpoint(folder, identity) if options.resume else None
    if found is not None:
        wanted = model_tensors(model) | {"generator": run.generator.get_state()}
        if "cache" in found.tensors:
            wanted["cache"] = torch.empty(run.cache.resolution**3, 1)
        ours = {n: t for n, t in found.tensors.items() if not n.startswith("optimiser.")}
        check_tensors(ours, wanted, folder / NAME)
        run.resumed = found
        run.history, run.seconds, run.files = found.history, found.seconds, found.files
        restore_model(model, found.tensors)
        run.generator.set_state(found.tensors["generator"])
        run.cache.values = found.tensors.get("cache")
        if run.cache.values is not None:
            run.cache.values = run.cache.values.to(where)
        return run
    held = [n for n in (*FILES, NAME) if (folder / n).exists()]
    if held and options.resume and (folder / REPORT).is_file():
        run.finished = Reconstruction.load(folder)
        report, used = run.finished.report, run.finished.settings
        made = report | {"profile": used.name, "settings": used.to_dict()}
        check_same_run("the finished results belong", made, identity, folder)
    elif held and not options.overwrite:
        raise OutputError(
            f"holds {held[0]} of an earlier run",
            where=folder,
            remedy="Pass --resume to go on with it, --overwrite to replace it, or name another.",
        )
    elif held and not {REPORT, NAME} & {*held}:
        raise OutputError(
            f"holds {held[0]}, but no {REPORT} and no checkpoint, so no run left it there",
            where=folder,
            remedy="Move it elsewhere, or name another folder.",
        )
    elif held:
        for name in held:
            (folder / name).unlink()
    return run


def _make_writable(folder: Path) -> None:
    """Find out before training, not after it, that results can't be written; and clean up."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable.part"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OutputError(
            f"results can't be written here ({error.strerror})",
            where=folder,
            remedy="Name a folder that you may write to.",
        ) from error
    # nobody else writes here: whatever is left is of a killed run, or of an older version's
    clear(path for name in (*FILES, NAME) for path in left_over(folder / name))
    clear(folder.glob(".tmp??????"))
