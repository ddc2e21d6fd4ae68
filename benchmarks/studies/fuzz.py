"""Damaged inputs by the thousand: is each refused with an error that helps, or read as it is?

    python benchmarks/studies/fuzz.py run                        5,000 mutants, some minutes
    python benchmarks/studies/fuzz.py run --count 300 --kinds release template
    python benchmarks/studies/fuzz.py replay release 17          one mutant again, with what it says

A mutant is a small valid folder of one of KINDS with one file damaged (`fuzz_mutations.py`). It is
read as a user's command would read it, in a process that may use 4 GB more and 10 s. Verdicts:

    refused      a PrivheadError that says where and what to do
    vague        a PrivheadError without a place or a remedy
    same         read, and all that was read is as in the valid folder
    other        read, other than the valid folder, within bounds
    absurd       read, but out of bounds
    traceback    any other exception
    hang         more than 10 s
    child        a process was started, or a connection opened, while it was read

Writes benchmarks/results/fuzz.json: counts, and every mutant of the last five by its seed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.studies.fuzz_mutations import mutate
from privhead_nb import resources
from privhead_nb.errors import PrivheadError
from privhead_nb.files import write_json
from privhead_nb.lab import gallery as lab_gallery
from privhead_nb.privacy.protect import protect
from privhead_nb.privacy.release import Release
from privhead_nb.reading import read_tensors
from privhead_nb.scenes.camera import custom_rig
from privhead_nb.scenes.folder import open_scene
from privhead_nb.scenes.images import write_image
from privhead_nb.scenes.scene import Scene
from privhead_nb.training import checkpoint
from privhead_nb.training.batches import linear_light, rays_at, released_views
from privhead_nb.training.profiles import PROFILES
from privhead_nb.training.reconstruction import Reconstruction, sha256
from privhead_nb.training.run import Run, make_optimiser
from privhead_nb.training.start import RunOptions, start_run
from privhead_nb.training.steps import rgb_terms
from privhead_nb.training.template import Template
from privhead_nb.training.two_stage import reconstruct

OUT = resources.RESULTS / "fuzz.json"
LIMIT = 10.0  # seconds
MEMORY = 4 << 30  # bytes beyond what the process holds at its beginning
FALLEN = ("vague", "absurd", "traceback", "hang", "child")
CI = PROFILES["ci"]
TINY = replace(
    CI,
    field=replace(CI.field, resolutions=(4, 8), width=16, features=8),
    render=replace(CI.render, cache=16, march=16),
    stage1=replace(CI.stage1, steps=2, rays=64, eikonal_points=32),
    stage2=replace(CI.stage2, steps=4, patches=2, eikonal_points=32),
    mesh_resolution=16,
)
Content = dict[str, Any]

# Valid inputs -------------------------------------------------------------------------------------


def ball(size: int = 24) -> Scene:
    """Six views of a striped ball of 60 mm."""
    import trimesh

    eyes = [(0, 0, 400), (300, 0, 300), (-300, 50, 300), (0, 100, -400), (300, 0, -300)]
    cameras, sensitive, neutral = custom_rig(eyes, [0, 1, 2], size=size, fov_deg=30)
    V = len(cameras)
    view, y, x = torch.meshgrid(torch.arange(V), *[torch.arange(size)] * 2, indexing="ij")
    o, d = cameras.rays(view.reshape(-1), torch.stack([x, y], -1).reshape(-1, 2).float())
    b = (o * d).sum(1)
    inside = b**2 - (o**2).sum(1) + 60.0**2
    p = (o + d * (-b - inside.clamp_min(0).sqrt())[:, None]) / 60.0
    colour = torch.where(inside[:, None] > 0, 0.5 + 0.4 * torch.sin(9 * p), torch.ones(1))
    mesh = trimesh.creation.icosphere(subdivisions=1, radius=60.0)
    vertices, faces = np.array(mesh.vertices), np.array(mesh.faces)
    return Scene(
        images=colour.reshape(V, size, size, 3),
        masks=(inside > 0).float().reshape(V, size, size),
        cameras=cameras,
        sensitive=sensitive,
        neutral=neutral,
        center=(0.0, 0.0, 0.0),
        radius=80.0,
        nose_tip=(0.0, 0.0, 60.0),
        face_radius=50.0,
        landmarks=vertices[[0, 7, 30]],
        truth=(vertices, faces),
        name="ball",
    )


def make_inputs(folder: Path) -> None:
    """A valid folder of each of KINDS."""
    scene = ball()
    scene.save(folder / "h3ds")
    shutil.copytree(folder / "h3ds", folder / "idr")
    for path in sorted((folder / "idr").glob("*/*.png")):
        path.rename(path.with_name(path.stem[-3:] + ".png"))
    (folder / "idr" / "cameras.npz").rename(folder / "idr" / "cameras_sphere.npz")
    release = protect(scene, size=16, masks="all")
    release.save(folder / "release")
    first = reconstruct(release, TINY)
    first.save(folder / "run")
    run = _begin(release, folder / "checkpoint", resume=False)
    neutral = released_views(release, "neutral", run.device)
    step = rgb_terms(run, neutral, TINY.stage1)
    run.train("stage1", TINY.stage1.steps, TINY.stage1.beta, step)
    model = first.model
    field = {k: v for k, v in model.state_dict().items() if k.startswith("field.")}
    Template(TINY.field, field, {"kind": "mean"}, radius=80.0).save(folder / "template")
    gallery = folder / "gallery"
    gallery.mkdir()
    for i, name in enumerate(("anna", "bert_1", "bert_2", "cleo")):
        write_image(gallery / f"{name}.png", scene.images[i].numpy())


# Reading ------------------------------------------------------------------------------------------


def read_scene(folder: Path) -> Content:
    """Open, protect in memory, and read the truth."""
    scene = open_scene(folder)
    release = protect(scene, size=16, masks="all")
    truth = scene.truth_mesh() if scene.truth_path is not None else None
    landmarks = scene.landmarks
    return _of_release(release) | {
        "truth": None if truth is None else truth.vertices,
        "landmarks": landmarks,
    }


def read_release(folder: Path) -> Content:
    """Load, and build what training looks at."""
    release = Release.load(folder)
    found = _of_release(release)
    cpu = torch.device("cpu")
    for name in ("neutral", "sensitive"):
        views = released_views(release, name, cpu)
        if len(views.cameras):
            rays = rays_at(views, torch.arange(len(views.cameras) * views.size**2))
            found[f"rays of {name}"] = torch.cat([rays.origins, rays.directions], 1).numpy()
    return found


def _of_release(release: Release) -> Content:
    return {
        "neutral": release.neutral,
        "sensitive": release.sensitive,
        "neutral images": release.neutral_images.numpy(),
        "moduli": release.moduli.numpy(),
        "masks": None if release.masks is None else release.masks.numpy(),
        "K": release.cameras.K.numpy(),
        "c2w": release.cameras.c2w.numpy(),
        "sphere": np.array([*release.center, release.radius]),
        "about": (release.unit, release.up, release.front, release.background, release.size),
        "operator": release.operator.to_dict(),
    }


def read_run(folder: Path) -> Content:
    """Load a result."""
    made = Reconstruction.load(folder)
    return {
        "mesh": made.mesh.vertices,
        "faces": made.mesh.faces,
        "stage 1": None if made.stage1_mesh is None else made.stage1_mesh.vertices,
        "field": _flat(made.model.state_dict()),
        "sphere": np.array([*made.center, made.radius]),
        "background": made.background,
        "history": made.history,
    }


def read_checkpoint(folder: Path) -> Content:
    """Go on from a checkpoint, up to the first step."""
    release = Release.load(folder.parent / "checkpoint release")
    run = _begin(release, folder, resume=True)
    if run.resumed is None:
        return {"field": None}
    optimiser = make_optimiser(run.model, TINY.optimiser)
    checkpoint.restore_optimiser(optimiser, run.resumed.tensors, folder / checkpoint.NAME)
    return {
        "field": _flat(run.model.state_dict()),
        "progress": (run.resumed.stage, run.resumed.step, run.resumed.history, run.resumed.seconds),
    }


def _begin(release: Release, folder: Path, resume: bool) -> Run:
    described, mark = {"stages": [1, 2]}, f"release {release.fingerprint}"
    options = RunOptions(0, folder, resume, True, "cpu", False)
    light = linear_light(released_views(release, "neutral", options.place))
    return start_run(TINY, options, described, mark, linear_light=light)


def read_gallery(folder: Path) -> Content:
    """Known people out of a folder of pictures."""
    known = lab_gallery.read_gallery(str(folder))
    return {
        "names": known.names,
        "who": known.enrolled.identity.numpy(),
        "pictures": known.enrolled.pictures.numpy(),
    }


def read_template(folder: Path) -> Content:
    """Load a template."""
    made = Template.load(folder)
    return {
        "field": _flat(made.state),
        "sphere": np.array([*made.center, made.radius]),
        "about": (made.unit, made.up, made.front),
    }


def _flat(state: dict[str, torch.Tensor]) -> np.ndarray:
    return torch.cat([state[name].detach().flatten().double() for name in sorted(state)]).numpy()


READERS: dict[str, Callable[[Path], Content]] = {
    "h3ds": read_scene,
    "idr": read_scene,
    "release": read_release,
    "run": read_run,
    "checkpoint": read_checkpoint,
    "gallery": read_gallery,
    "template": read_template,
}
KINDS = tuple(READERS)


def resign(folder: Path, _: random.Random) -> None:
    """Mend the checksums of whatever is in the folder, as far as it can still be read."""
    try:
        manifest, report = folder / "manifest.json", folder / "report.json"
        words, kept = folder / "template.json", folder / checkpoint.NAME
        if manifest.is_file():
            files = (p for p in folder.rglob("*") if _small(p) and p != manifest)
            sums = {p.relative_to(folder).as_posix(): sha256(p) for p in files}
            manifest.write_text(json.dumps({"sha256": sums}))
        if report.is_file():
            data = json.loads(report.read_text())
            names = [name for name in data["files"] if _small(folder / name)]
            data["files"] = {name: sha256(folder / name) for name in names}
            report.write_text(json.dumps(data))
        if words.is_file():
            state = _tensors(folder / "template.safetensors")[0]
            data = json.loads(words.read_text())
            data["fingerprint"] = checkpoint.fingerprint(*(state[name] for name in sorted(state)))
            words.write_text(json.dumps(data))
        if kept.is_file():
            from safetensors.torch import save_file

            state, said = _tensors(kept)
            said["sha256"] = checkpoint._digest(said["privhead"], state)
            save_file(state, kept, said)
    except Exception:  # what can't be read can't be signed
        return


def _small(path: Path) -> bool:
    return path.is_file() and path.stat().st_size < 10**8


def _tensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    return read_tensors(path, error=PrivheadError, remedy="")


# Judging ------------------------------------------------------------------------------------------


def out_of_bounds(kind: str, found: Content, valid: Content) -> list[str]:
    """What no user can have meant; the bounds are wide."""
    bad = [
        f"{name} is not finite"
        for name, value in found.items()
        if isinstance(value, np.ndarray) and not np.isfinite(value.astype(np.float64)).all()
    ]
    if "sphere" in found:
        *center, radius = found["sphere"]
        if not 1e-6 <= radius <= 1e9 or np.abs(center).max() > 1e9:
            bad.append(f"a sphere of radius {radius:g} at {center}")
    if "c2w" in found:
        away = np.linalg.norm(found["c2w"][:, :3, 3] - found["sphere"][:3], axis=1)
        ratio = away / found["sphere"][3]
        if ratio.min() <= 1 or ratio.max() > 1e4:
            bad.append(f"a camera {ratio.min():g} to {ratio.max():g} radii away")
        eyes = (found["c2w"][list(found["neutral"]), :3, 3] - found["sphere"][:3])[:, 2]
        asked = found["about"][2] == valid["about"][2]
        if kind in ("h3ds", "idr") and asked and (eyes > 0.2 * away.max()).any():
            bad.append("a face in colour")
        for name in ("neutral images", "masks"):
            values = found[name]
            if values is not None and values.size and not 0 <= values.min() <= values.max() <= 1:
                bad.append(f"{name} out of [0, 1]")
    if kind == "run":
        spread = np.abs(found["mesh"] - found["sphere"][:3]).max() / found["sphere"][3]
        if not 0.02 < spread < 3:
            bad.append(f"a mesh that reaches to {spread:g} radii")
    return bad


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, np.ndarray) and isinstance(two, np.ndarray):
        return one.shape == two.shape and bool((one == two).all())
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(_same(one[k], two[k]) for k in one)
    if isinstance(one, np.ndarray) or isinstance(two, np.ndarray):
        return False
    return bool(one == two)


class Late(BaseException):
    """The time is over."""


class Bench:
    """Reads mutants, one after the other, in this process.

    Args:
        inputs: what `make_inputs` wrote.
        room: a folder for mutants.
        kinds: to be read.
    """

    def __init__(self, inputs: Path, room: Path, kinds: tuple[str, ...] = KINDS) -> None:
        self.inputs, self.room, self.started = inputs, room, [""]
        self.watching = False
        room.mkdir(parents=True, exist_ok=True)
        shutil.copytree(inputs / "release", room / "checkpoint release", dirs_exist_ok=True)
        self.valid = {kind: self._read_valid(kind) for kind in kinds}
        sys.addaudithook(self._hear)

    def judge(self, kind: str, seed: int) -> dict[str, Any]:
        """Make a mutant and read it: kind, seed, mutation, verdict, what was said, seconds."""
        random_ = random.Random(f"{kind} {seed}")
        folder = self._copy(kind)
        mutation = mutate(folder, random_, resign)
        made: dict[str, Any] = {"kind": kind, "seed": seed, "mutation": mutation}
        began = time.perf_counter()
        verdict, said = self._read(kind, folder, mutation.endswith("signed again"))
        if self.started:
            verdict, said = "child", ", ".join(self.started)
        shutil.rmtree(folder)
        said = said.replace(str(self.room), "")[:600]
        return made | {
            "verdict": verdict, "said": said, "seconds": round(time.perf_counter() - began, 2),
        }  # fmt: skip

    def _read(self, kind: str, folder: Path, signed: bool) -> tuple[str, str]:
        self.started, self.watching = [], True
        handler = signal.signal(signal.SIGALRM, self._late)
        timer = signal.setitimer(signal.ITIMER_REAL, LIMIT)  # somebody else's may be running
        try:
            found = READERS[kind](folder)
        except PrivheadError as error:
            clear = error.where is not None and bool(error.remedy)
            return ("refused" if clear else "vague"), str(error)
        except Late:
            return "hang", f"over {LIMIT:g} s"
        except Exception:
            return "traceback", traceback.format_exc()[-600:]
        finally:
            signal.setitimer(signal.ITIMER_REAL, *timer)
            signal.signal(signal.SIGALRM, handler)
            self.watching = False
        valid = self.valid[kind]
        bad = out_of_bounds(kind, found, valid)
        if kind == "checkpoint" and not signed and found["field"] is not None:
            bad += [] if _same(found, valid) else ["another state than the one kept"]
        if bad:
            return "absurd", "; ".join(bad)
        return ("same", "") if _same(found, valid) else ("other", _differing(found, valid))

    def _read_valid(self, kind: str) -> Content:
        folder = self._copy(kind)
        found = READERS[kind](folder)
        shutil.rmtree(folder)
        return found

    def _copy(self, kind: str) -> Path:
        folder = self.room / kind
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.inputs / kind, folder)
        return folder

    def _hear(self, event: str, _: Any) -> None:
        if self.watching and event.startswith(
            ("subprocess.Popen", "os.fork", "os.exec", "os.posix_spawn", "os.system", "socket.conn")
        ):
            self.started.append(event)

    def _late(self, *_: Any) -> None:
        raise Late


def _differing(found: Content, valid: Content) -> str:
    return ", ".join(
        k for k in found.keys() | valid.keys() if not _same(found.get(k), valid.get(k))
    )


# Many ---------------------------------------------------------------------------------------------


def seeds(count: int, seed: int, kinds: tuple[str, ...]) -> list[tuple[str, int]]:
    """Kind and seed of each mutant, kinds in turn."""
    return [(kinds[i % len(kinds)], seed + i // len(kinds)) for i in range(count)]


def judge_all(inputs: Path, jobs: list[tuple[str, int]], workers: int) -> Iterator[dict[str, Any]]:
    """Verdicts in the order they are found, out of several processes; one that hangs is ended."""
    pipes = multiprocessing.get_context("spawn")
    shares = [jobs[i::workers] for i in range(workers)]
    with tempfile.TemporaryDirectory() as room:
        running: dict[Any, tuple[Any, list[tuple[str, int]], float]] = {}

        def start(share: list[tuple[str, int]], place: int) -> None:
            ours, theirs = pipes.Pipe()
            process = pipes.Process(
                target=_work, args=(theirs, inputs, Path(room) / f"{place}", share), daemon=True
            )
            process.start()
            theirs.close()
            running[ours] = (process, share, time.monotonic() + 120)

        for place, share in enumerate(shares):
            start(share, place)
        place = workers
        while running:
            for pipe in list(running):
                process, share, until = running[pipe]
                ended = False
                try:
                    while pipe.poll(0.05):
                        yield pipe.recv()
                        share, until = share[1:], time.monotonic() + 3 * LIMIT
                except EOFError:
                    ended = True
                running[pipe] = (process, share, until)
                if ended or time.monotonic() > until:
                    process.terminate()
                    process.join()
                    del running[pipe]
                    if share:
                        kind, seed = share[0]
                        said = f"the process ended with {process.exitcode}" if ended else "silent"
                        verdict = "traceback" if ended else "hang"
                        yield {"kind": kind, "seed": seed, "mutation": "?", "verdict": verdict,
                               "said": said, "seconds": 0.0}  # fmt: skip
                        start(share[1:], place)
                        place += 1


def _work(pipe: Connection, inputs: Path, room: Path, jobs: list[tuple[str, int]]) -> None:
    torch.set_num_threads(1)
    if not jobs:
        return
    bench = Bench(inputs, room, tuple({kind for kind, _ in jobs}))
    held = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (held + MEMORY, resource.RLIM_INFINITY))
    for kind, seed in jobs:
        pipe.send(bench.judge(kind, seed))


def summed_up(found: list[dict[str, Any]], command: str) -> dict[str, Any]:
    """Counts by kind and by mutation, and whatever fell."""
    by_kind: dict[str, Counter[str]] = {}
    by_mutation: dict[str, Counter[str]] = {}
    for one in found:
        by_kind.setdefault(one["kind"], Counter())[one["verdict"]] += 1
        name = one["mutation"].rsplit(" ", 3 if one["mutation"].endswith("again") else 1)
        by_mutation.setdefault(name[0], Counter())[one["verdict"]] += 1
    fallen = [one for one in found if one["verdict"] in FALLEN]
    return {
        "command": command,
        "mutants": len(found),
        "verdicts": dict(Counter(one["verdict"] for one in found).most_common()),
        "slowest_seconds": max(one["seconds"] for one in found),
        "kinds": {k: dict(v) for k, v in sorted(by_kind.items())},
        "mutations": {k: dict(v) for k, v in sorted(by_mutation.items())},
        "fallen": sorted(fallen, key=lambda one: (one["kind"], one["seed"])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run")
    run.add_argument("--count", type=int, default=5000)
    run.add_argument("--seed", type=int, default=0)
    run.add_argument("--kinds", nargs="*", choices=KINDS, default=KINDS)
    run.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    run.add_argument("--out", type=Path, default=OUT)
    run.add_argument("--show", nargs="*", default=FALLEN, help="verdicts that are printed")
    one = commands.add_parser("replay")
    one.add_argument("kind", choices=KINDS)
    one.add_argument("seed", type=int)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        inputs = Path(made)
        make_inputs(inputs)
        if asked.command == "replay":
            bench = Bench(inputs, inputs / "room", (asked.kind,))
            print(json.dumps(bench.judge(asked.kind, asked.seed), indent=1))
            return
        kinds = tuple(asked.kinds)
        found = []
        for verdict in judge_all(inputs, seeds(asked.count, asked.seed, kinds), asked.workers):
            found.append(verdict)
            if verdict["verdict"] in asked.show:
                print(json.dumps(verdict), flush=True)
    words = f"python benchmarks/studies/fuzz.py run --count {asked.count} --seed {asked.seed}"
    story = summed_up(found, words)
    write_json(asked.out, story)
    print(json.dumps({k: v for k, v in story.items() if k != "fallen"}, indent=1))


if __name__ == "__main__":
    main()
