"""Where the seconds of a reconstruction go, part by part.

    python benchmarks/studies/seconds.py run         `cpu` on head 105 with one thread and with two
    python benchmarks/studies/seconds.py table

Functions of the training are wrapped by a stopwatch; a part's seconds are its own, without those of
parts inside it, but for the cache, which keeps what it asks of the field. Results go to
benchmarks/results/seconds.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any
from unittest import mock

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.studies.reconstruction import machine, scene_folder
from privhead_nb import load_scene, protect, reconstruct
from privhead_nb.field.radiance import ColourNetwork
from privhead_nb.files import write_json
from privhead_nb.kernels import grid_encoding, sdf_head
from privhead_nb.render import volume
from privhead_nb.resources import RESULTS
from privhead_nb.training import run as training
from privhead_nb.training import steps

STORED = RESULTS / "seconds.json"
HEAD, PROFILE = "105", "cpu"
CACHE = "cache of the field"
PARTS: dict[str, list[tuple[Any, str]]] = {
    "grid encoder, forward": [(grid_encoding.numba, "forward")],
    "grid encoder, backward": [(grid_encoding.numba, "table_gradient")],
    "head network, forward": [(sdf_head.numba, "forward")],
    "head network, backward": [(sdf_head.numba, "backward")],
    "colour network, forward": [(ColourNetwork, "forward")],
    "other gradients, the colour network's among them": [(torch.Tensor, "backward")],
    "Adam": [(torch.optim.Adam, "step")],
    "length of gradients, and clearing them": [
        (training, "clip_gradients"),
        (training, "clear_gradients"),
    ],
    CACHE: [(training.Run, "_refresh")],
    "march to the surface": [(volume, "march")],
    "drawing patches and rays": [
        (steps, "draw_patches"),
        (steps, "draw_pixels"),
        (training, "rays_at"),
    ],
}


class Stopwatch:
    """Seconds by part, exclusive of parts inside."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.open: list[str] = []
        self.since = time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Inside, seconds are this part's, or the cache's if that asks."""
        self._charge()
        self.open.append(CACHE if CACHE in self.open else name)
        try:
            yield
        finally:
            self._charge()
            self.open.pop()

    def _charge(self) -> None:
        now = time.perf_counter()
        self.seconds[self.open[-1] if self.open else "outside"] += now - self.since
        self.since = now

    def wrapped(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed as a part."""

        @wraps(function)
        def timed(*given: Any, **named: Any) -> Any:
            with self.part(name):
                return function(*given, **named)

        return timed


def measure(threads: int) -> dict[str, float]:
    """Seconds by part of one reconstruction, after a short one that loads the kernels."""
    torch.set_num_threads(threads)
    release = protect(load_scene(scene_folder(HEAD)), seed=0)
    reconstruct(release, "ci", progress=False)
    watch = Stopwatch()
    with ExitStack() as stack:
        for name, places in PARTS.items():
            for owner, attribute in places:
                timed = watch.wrapped(name, getattr(owner, attribute))
                stack.enter_context(mock.patch.object(owner, attribute, timed))
        train = watch.wrapped("the rest of rendering and losses", training.Run.train)
        stack.enter_context(mock.patch.object(training.Run, "train", train))
        reconstruct(release, PROFILE, seed=0, progress=False)
    return {k: round(v, 3) for k, v in watch.seconds.items() if k != "outside"}


def study() -> dict[str, Any]:
    """Both runs, one after the other."""
    seconds = {str(threads): measure(threads) for threads in (1, 2)}
    return {"head": HEAD, "profile": PROFILE, "seconds": seconds, "machine": machine()}


def table() -> str:
    """Parts by their seconds, as Markdown."""
    found = json.loads(STORED.read_text(encoding="utf-8"))["seconds"]
    one, two = found["1"], found["2"]
    all_one, all_two = sum(one.values()), sum(two.values())
    lines = ["| part | one thread | share | two threads | share |", "| --- |" + " --- |" * 4]
    for name, seconds in sorted(one.items(), key=lambda item: -item[1]):
        lines.append(
            f"| {name} | {seconds:.1f} s | {100 * seconds / all_one:.0f} % "
            f"| {two[name]:.1f} s | {100 * two[name] / all_two:.0f} % |"
        )
    return "\n".join([*lines, f"| both stages | {all_one:.1f} s | | {all_two:.1f} s | |"])


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("command", choices=("run", "table"))
    if parser.parse_args().command == "run":
        write_json(STORED, study())
    print(table())


if __name__ == "__main__":
    main()
