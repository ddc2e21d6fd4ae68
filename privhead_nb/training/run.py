"""One training run: the loop, its schedule, its checkpoints, and what stops it."""

from __future__ import annotations

import math
import os
import platform
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from tqdm import tqdm

import privhead_nb
from privhead_nb.errors import TrainingError
from privhead_nb.field.encoding import GridEncoding
from privhead_nb.field.model import HeadModel
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.kernels.dispatch import choose
from privhead_nb.kernels.lazy import only_kernels_in_parallel
from privhead_nb.render.sampling import SdfCache
from privhead_nb.render.volume import Rendered, render_rays
from privhead_nb.training.batches import Views, rays_at
from privhead_nb.training.checkpoint import (
    NAME,
    History,
    Progress,
    model_tensors,
    optimiser_tensors,
    restore_optimiser,
    write_checkpoint,
)
from privhead_nb.training.profiles import Optimiser, Profile
from privhead_nb.training.reconstruction import Reconstruction, sha256

if TYPE_CHECKING:
    from collections.abc import Iterator

Terms = dict[str, Tensor]

RECORD_EVERY = 10  # steps between two entries of the history
SAVE_EVERY = 20.0  # seconds between two checkpoints; PRIVHEAD_SAVE_EVERY, for tests, overrules it
BETA_SHARE = 0.8  # share of a stage over which beta falls
FULL_REFRESH = 8  # every so many refreshes the cache is asked everywhere
NEAR_SURFACE = 0.1  # in between, only this near to the surface (unit-sphere coordinates)
BAD_STEPS = 3  # bad steps in a row that end a run


@dataclass
class Run:
    """What changes while a model is trained."""

    settings: Profile
    seed: int
    model: HeadModel
    generator: torch.Generator
    device: torch.device
    cache: SdfCache
    folder: Path | None
    show: bool
    identity: dict[str, Any]
    described: dict[str, Any]
    history: History = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    step: int = 0
    resumed: Progress | None = None
    finished: Reconstruction | None = None

    def render(self, views: Views, flat: Tensor, eikonal_points: Tensor) -> Rendered:
        """Render pixels (N,), flat indices, with this run's sampler, jittered by its generator."""
        settings = self.settings.render
        return render_rays(
            self.model,
            rays_at(views, flat, settings.supersampling),
            views.background,
            settings,
            cache=self.cache if settings.sampler == "surface" else None,
            generator=self.generator,
            eikonal_points=eikonal_points,
            rays_a_pixel=settings.supersampling**2,
            linear_light=self.identity["linear_light"],
        )

    def train(
        self, name: str, steps: int, beta: tuple[float, float], terms: Callable[[], Terms]
    ) -> None:
        """Run one stage, or what is left of it.

        Raises:
            TrainingError: loss or gradient is no finite number, or the surface is lost; the last
                good checkpoint is on disk.
            KeyboardInterrupt: after the running step was finished and a checkpoint written.
        """
        resumed, self.step = self.resumed, 0
        if resumed is not None and resumed.stage != name and name in self.seconds:
            return  # done before the interruption
        optimiser = make_optimiser(self.model, self.settings.optimiser)
        if resumed is not None and resumed.stage == name:
            assert self.folder is not None
            restore_optimiser(optimiser, resumed.tensors, self.folder / NAME)
            self.step = resumed.step
        self.resumed = None
        record = self.history.setdefault(name, {"step": []})
        every = float(os.environ.get("PRIVHEAD_SAVE_EVERY") or SAVE_EVERY)
        began, before, saved, bad = time.perf_counter(), self.seconds.get(name, 0.0), 0.0, 0
        bar = tqdm(total=steps, initial=self.step, desc=name, disable=not self.show)
        with bar, held_interrupt() as pressed, gradients_in_place(self.model), self._threads():
            while self.step < steps:
                self._schedule(optimiser, beta, steps)
                if self.step % self.settings.cache_every == 0:
                    self._refresh(name)
                clear_gradients(self.model)
                parts = terms()
                loss = torch.stack(list(parts.values())).sum()
                loss.backward()
                if math.isfinite(clip_gradients(self.model, loss, self.settings.optimiser.clip)):
                    optimiser.step()
                    bad = 0
                else:
                    bad += 1
                    if bad >= BAD_STEPS:
                        raise self._diverged(name, "loss or gradient is no finite number")
                if self.step % RECORD_EVERY == 0 or self.step + 1 == steps:
                    record["step"].append(self.step)
                    values = {key: value.item() for key, value in parts.items()}
                    for key, value in values.items():
                        record.setdefault(key, []).append(round(value, 7))
                    bar.set_postfix({k: f"{v:.4f}" for k, v in values.items()})
                self.step += 1
                bar.update()
                spent = time.perf_counter() - began
                self.seconds[name] = before + spent
                stop = pressed()
                if stop or spent - saved > every:
                    self._save(name, optimiser)
                    saved = spent
                if stop:
                    raise KeyboardInterrupt
        self._refresh(name)
        self._save(name, optimiser)

    def stage_mesh(self, name: str, make: Callable[[], Mesh]) -> Mesh | None:
        """The mesh at the end of a stage, made once.

        A run that was resumed in a later stage finds it on disk; None if it was removed since.
        """
        path = None if self.folder is None else self.folder / name
        if path is not None and self.resumed is not None:
            if not path.is_file():
                return None
            if self.files.get(name) != sha256(path):
                raise TrainingError(
                    "was changed since the run wrote it",
                    where=path,
                    remedy="Remove it to go on without, or start again without --resume.",
                )
            return Mesh.load(path)
        mesh = make()
        if path is not None:
            mesh.save(path)
            self.files[name] = sha256(path)
        return mesh

    def report(self) -> dict[str, Any]:
        """Facts about the run, ready for JSON."""
        return {
            "privhead_nb": privhead_nb.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "profile": self.settings.name,
            "seed": self.seed,
            "device": str(self.device),
            "threads": torch.get_num_threads(),
            "data": self.identity["data"],
            "linear_light": self.identity["linear_light"],
            **self.described,
            "seconds": {k: round(v, 2) for k, v in self.seconds.items()},
            "seconds_total": round(sum(self.seconds.values()), 2),
            "peak_memory_mb": peak_memory_mb(self.device),
        }

    def close(self, result: Reconstruction) -> None:
        """Write the results, then drop the checkpoint that they replace."""
        if self.folder is not None:
            result.save(self.folder)
            (self.folder / NAME).unlink(missing_ok=True)

    def _threads(self) -> AbstractContextManager[None]:
        """Where a grid's CPU kernels run, threads are theirs alone."""
        grids = grid_encodings(self.model)
        if grids and choose("grid_encoding", "auto", grids[0].table) == "numba":
            return only_kernels_in_parallel()
        return nullcontext()

    def _schedule(
        self, optimiser: torch.optim.Optimizer, beta: tuple[float, float], steps: int
    ) -> None:
        share = self.step / max(steps - 1, 1)
        self.model.beta.set(beta[0] * (beta[1] / beta[0]) ** min(share / BETA_SHARE, 1.0))
        rate = self.settings.optimiser.decay**share
        for group in optimiser.param_groups:
            group["lr"] = group["start"] * rate

    def _refresh(self, name: str) -> None:
        if self.settings.render.sampler != "surface":
            return
        # Far from the surface the cache only has to know the side: ask there now and then.
        whole = self.step % (FULL_REFRESH * self.settings.cache_every) == 0
        within = None if whole else NEAR_SURFACE
        self.cache.refresh(self.model.sdf, self.device, within)
        values = self.cache.values
        if values is not None and not bool((values < 0).any()):
            raise self._diverged(name, "the surface has vanished")

    def _save(self, name: str, optimiser: torch.optim.Optimizer) -> None:
        if self.folder is None:
            return
        tensors = model_tensors(self.model) | optimiser_tensors(optimiser)
        tensors["generator"] = self.generator.get_state()
        if self.cache.values is not None:
            tensors["cache"] = self.cache.values
        told = (self.history, self.seconds, self.identity, self.files)
        write_checkpoint(self.folder, Progress(name, self.step, tensors, *told))

    def _diverged(self, name: str, why: str) -> TrainingError:
        kept = "nothing was written" if self.folder is None else f"{self.folder / NAME} is kept"
        return TrainingError(
            f"{name} diverged at step {self.step}: {why}",
            where="training",
            remedy=f"The last good checkpoint: {kept}. Check the scene with `privhead inspect`, "
            "or lower the learning rate.",
        )


def grid_encodings(model: HeadModel) -> list[GridEncoding]:
    """The model's feature grids; an MLP has none."""
    return [module for module in model.modules() if isinstance(module, GridEncoding)]


@contextmanager
def gradients_in_place(model: HeadModel) -> Iterator[None]:
    """Inside, feature grids keep one gradient buffer, which the encoder's backward adds to."""
    grids = grid_encodings(model)
    for grid in grids:
        grid.table.grad, grid.adds_to_grad = torch.zeros_like(grid.table), True
    try:
        yield
    finally:
        for grid in grids:
            grid.table.grad, grid.adds_to_grad = None, False


def clear_gradients(model: HeadModel) -> None:
    """Clear the feature grids' buffers; the other, small gradients are made anew each step."""
    for name, parameter in model.named_parameters():
        if name.endswith(".table") and parameter.grad is not None:
            parameter.grad.zero_()
        else:
            parameter.grad = None


def clip_gradients(model: HeadModel, loss: Tensor, most: float) -> float:
    """Cut the whole gradient to length `most`, touching it only if it is longer.

    Returns:
        Its length before, plus the loss: no finite number if either is none. One device sync.
    """
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(grads)
    length, value = torch.stack([norm, loss.detach()]).tolist()
    if math.isfinite(length) and length > most:
        for grad in grads:
            grad.mul_(most / length)
    return length + value


def make_optimiser(model: HeadModel, settings: Optimiser) -> torch.optim.Optimizer:
    """Adam with one rate for feature grids and one for everything else."""
    grids = [p for n, p in model.named_parameters() if n.endswith(".table")]
    others = [p for n, p in model.named_parameters() if not n.endswith(".table")]
    groups: list[dict[str, Any]] = [
        {"params": some, "lr": rate, "start": rate}
        for some, rate in ((grids, settings.grid_rate), (others, settings.rate))
        if some
    ]
    return torch.optim.Adam(groups, betas=settings.betas, eps=1e-15, fused=True)


def peak_memory_mb(device: torch.device) -> float | None:
    """Peak resident memory of this process (of the GPU's allocator on a GPU), in MB.

    None on systems whose Python has no `resource` module (Windows).
    """
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 1e6, 1)
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)


@contextmanager
def held_interrupt() -> Iterator[Callable[[], bool]]:
    """Hold the first Ctrl-C back until the running step is done; a second one strikes at once.

    Outside of the main thread Python delivers no signals, and nothing is held.
    """
    seen = False

    def hold(*_: Any) -> None:
        nonlocal seen
        if seen:
            raise KeyboardInterrupt
        seen = True

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, hold)
    try:
        yield lambda: seen
    finally:
        signal.signal(signal.SIGINT, before)
