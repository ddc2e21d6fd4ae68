"""How well `privhead capture` does: against known cameras, masks and fronts.

    python benchmarks/studies/capture.py film [FOLDER]   the real head's film, if it is there
    python benchmarks/studies/capture.py heads           views that show the face, on made heads
    python benchmarks/studies/capture.py made            a made head's film: walk, and level circle
    python benchmarks/studies/capture.py outline         from where landmarks of made faces are seen

Each writes its part of benchmarks/results/capture.json. FOLDER has frames/, mask/ and cameras.json;
its pictures are never stored, only figures. `film` takes minutes; `heads` knows the cameras and
asks the detectors alone, which is where a mistake would show a face.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import re
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.studies.made_film import walk, write_film
from privhead_nb import Operator, evaluate, load_scene, protect, reconstruct
from privhead_nb.capture.faces import look_for_faces
from privhead_nb.capture.frame import head_frame
from privhead_nb.capture.hull import Mask
from privhead_nb.capture.masks import overlap
from privhead_nb.capture.photographs import list_photographs, read_photographs
from privhead_nb.capture.poses import Poses
from privhead_nb.capture.roles import FACE_ANGLE, angle_from_front, view_roles
from privhead_nb.capture.run import Choices, capture, steps_folder
from privhead_nb.capture.settings import CaptureSettings
from privhead_nb.capture.views import View, moved, placed_views
from privhead_nb.errors import PrivheadError
from privhead_nb.files import write_json
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.heads.head import make_head
from privhead_nb.heads.synthetic import synthetic_scene
from privhead_nb.resources import RESULTS
from privhead_nb.scenes.camera import Cameras
from privhead_nb.scenes.folder import open_scene
from privhead_nb.scenes.scene import Scene

OUT = RESULTS / "capture.json"
FILM = Path(__file__).resolve().parents[3] / "shared" / "data" / "real_film"
HEAD = FILM.with_name("real_head") / "scene" / "full_head.obj"
HEADS = range(40, 60)


def camera_errors(poses: Poses, R: NDArray[Any], centers: NDArray[Any]) -> dict[str, Any]:
    """Errors of poses after the similarity that brings their centres to the true ones.

    Args:
        poses: V of them.
        R: (V, 3, 3) true rotations from the scene to each camera.
        centers: (V, 3) true centres.
    """
    a, b = poses.centers - poses.centers.mean(0), centers - centers.mean(0)
    u, _, vt = np.linalg.svd(b.T @ a)
    turn = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
    scale = float((b * (a @ turn.T)).sum() / (a**2).sum())
    away = np.linalg.norm(scale * a @ turn.T - b, axis=1)
    between = np.einsum("vij,vkj->vik", poses.R @ turn.T, R)
    cosine = (np.trace(between, axis1=1, axis2=2) - 1) / 2
    degrees = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    distance = float(np.linalg.norm(centers, axis=1).mean())
    shift = centers.mean(0) - scale * turn @ poses.centers.mean(0)
    return {
        "rotation_deg": float(degrees.mean()),
        "rotation_deg_worst": float(degrees.max()),
        "position_mm": float(away.mean()),
        "position_mm_worst": float(away.max()),
        "position_share": float(away.mean() / distance),
        "similarity": {"turn": turn, "scale": scale, "shift": shift},
    }


def film(folder: Path, kept: Path | None) -> dict[str, Any]:
    """Capture the real film without its focal length, and compare with what is known of it."""
    truth = json.loads((folder / "cameras.json").read_text())
    with TemporaryDirectory() as work:
        out = (kept or Path(work)) / "scene"
        start, before = time.perf_counter(), os.times()
        report = capture(
            folder / "frames", out, CaptureSettings(threads=2), resume=kept is not None,
            progress=True,
        )  # fmt: skip
        seconds, after = time.perf_counter() - start, os.times()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        steps = steps_folder(out)
        poses = _kept_poses(steps)
        rows = [int(re.findall(r"\d+", name)[0]) for name in poses.names]
        R = np.array([truth[row]["R"] for row in rows])
        centers = np.array([truth[row]["c"] for row in rows])
        errors = camera_errors(poses, R, centers)
        similarity = errors.pop("similarity")
        focal = np.array([truth[row]["f"] for row in rows]) / 512
        angles = np.array([_true_angle(c) for c in centers])
        roles = {v["name"]: v["role"] for v in report["views"]}
        overlaps = _film_masks(steps, folder, report, poses, R, centers, similarity)
        front = _front_error(steps, poses, similarity)
        scene = open_scene(out)
    shown = [angles[i] <= FACE_ANGLE for i in range(len(rows))]
    said = [roles[name] == "sensitive" for name in poses.names]
    return {
        "frames": report["pictures"],
        "posed_share": report["placed"] / report["pictures"],
        **errors,
        "focal_error": float(np.abs(poses.focal / focal - 1).mean()),
        "reprojection_px": report["error_px"],
        "mask_iou": overlaps,
        "views_within_limit": int(sum(shown)),
        "of_them_sensitive": int(sum(s and t for s, t in zip(shown, said, strict=True))),
        "neutral_views": len(scene.neutral),
        "least_true_angle_of_a_neutral_view": float(
            min(a for a, s in zip(angles, said, strict=True) if not s)
        ),
        "front_error_deg": front,
        "seconds": seconds,
        "processor_seconds": after.user + after.system - before.user - before.system,
        "load_average": os.getloadavg()[1],
        "peak_memory_gb": memory,
        "profile": report["focal_profile"],
    }


def _kept_poses(steps: Path) -> Poses:
    return Poses.from_dict(json.loads((steps / "poses.json").read_text())["result"])


def _true_angle(center: NDArray[Any]) -> float:
    """Degrees between +z and a camera, seen from the origin, in the true head's frame."""
    return float(np.degrees(np.arccos(center[2] / np.linalg.norm(center))))


def _found_frame(steps: Path, poses: Poses) -> Any:
    """The head's frame, as capture had it."""
    from privhead_nb.capture.photographs import Picture

    read = json.loads((steps / "read.json").read_text())["result"]
    seen = json.loads((steps / "faces.json").read_text())["result"]
    pictures = [Picture(**p) for p in read["pictures"]]
    marks = {name: np.array(m) for name, m in seen["landmarks"].items()}
    views = placed_views(pictures, poses)
    return head_frame(views, marks), views


def _front_error(steps: Path, poses: Poses, similarity: dict[str, Any]) -> dict[str, float]:
    """Degrees between the found axes of the face and the true ones."""
    head, _ = _found_frame(steps, poses)
    found = similarity["turn"] @ head.turn.T  # columns: the head's axes in the true frame
    return {
        axis: float(np.degrees(np.arccos(np.clip(found[row, row], -1, 1))))
        for axis, row in (("up", 1), ("front", 2))
    }


def _film_masks(
    steps: Path,
    folder: Path,
    report: dict[str, Any],
    poses: Poses,
    R: NDArray[Any],
    centers: NDArray[Any],
    similarity: dict[str, Any],
) -> dict[str, float]:
    """Made masks against true ones: the outline of the true head above the same neck plane."""
    head, views = _found_frame(steps, poses)
    unit = head.scale / similarity["scale"]  # of the captured scene, per mm of the truth
    mesh = Mesh.load(HEAD)
    # The plane in the true frame: y of the head's frame at each vertex.
    poses_points = (mesh.vertices - similarity["shift"]) @ similarity["turn"] / similarity["scale"]
    height = (head.scale * poses_points @ head.turn.T + head.shift)[:, 1]
    above = height > head.chin - report["neck"] * head.pupils / 62.0
    faces = mesh.faces[above[mesh.faces].all(1)]
    ious = []
    for row, view in enumerate(views):
        true_view = View(
            view.name, view.file, view.width, view.height, float(poses.focal[row] * 512), 0.0,
            R[row], centers[row],
        )  # fmt: skip
        drawn = _outline(true_view, mesh.vertices, faces)
        with Image.open(folder / "mask" / f"{Path(view.name).stem}.png") as image:
            person: Mask = np.asarray(image.convert("L"))
        made = cv2.imread(str(steps / "masks" / view.file), cv2.IMREAD_GRAYSCALE)
        ious.append(overlap(np.minimum(drawn, person), np.asarray(made, np.uint8)))
    return {
        "mean": float(np.mean(ious)),
        "median": float(np.median(ious)),
        "worst": float(np.min(ious)),
        "below_0.95": int((np.array(ious) < 0.95).sum()),
        "scene_units_per_mm": float(unit),
    }


def _outline(view: View, vertices: NDArray[Any], faces: NDArray[Any]) -> Mask:
    """Triangles drawn over each other: the outline of a mesh, (H, W)."""
    xy, _ = view.project(vertices)
    canvas = np.zeros((view.height, view.width), np.uint8)
    fine = np.round(xy[faces] * 16).astype(np.int32)  # sixteenths of a pixel
    for triangle in fine:
        cv2.fillConvexPoly(canvas, triangle, 255, cv2.LINE_8, 4)
    return canvas


def heads(films: Path | None) -> dict[str, Any]:
    """Which views of made heads are taken for neutral, the cameras being known.

    Args:
        films: holds, or gets, a folder of pictures and a row for each head, so that a second call
            goes on; None keeps nothing.
    """
    rows = []
    for identity in HEADS:
        kept = None if films is None else films / f"head_{identity}.json"
        if kept is not None and kept.is_file():
            rows.append(json.loads(kept.read_text()))
            continue
        cameras, _ = walk(18, size=256, seed=identity)
        with TemporaryDirectory() as work:
            film_folder = (films or Path(work)) / f"head_{identity}"
            copies = Path(work) / "copies"
            copies.mkdir()
            if len([*film_folder.glob("*.jpg")]) < len(cameras):
                write_film(film_folder, identity, cameras)
            pictures, _ = read_photographs(list_photographs(film_folder), copies)
            true = [int(re.findall(r"\d+", p.name)[0]) - 1 for p in pictures]
            c2w = cameras.c2w.numpy()[true]
            n = len(pictures)
            poses = Poses(
                tuple(p.name for p in pictures), c2w[:, :3, :3].transpose(0, 2, 1), c2w[:, :3, 3],
                np.full(n, float(cameras.K[0, 0, 0]) / 256), np.zeros(n), 0.0, "fov",
            )  # fmt: skip
            views = placed_views(pictures, poses)
            seen = look_for_faces(views, copies)
        row = {"identity": identity} | _head_row(views, seen)
        rows.append(row)
        if kept is not None:
            write_json(kept, row)
        print(row, flush=True)
    done = [row for row in rows if "front_error_deg" in row]
    return {
        "heads": len(rows),
        "limit_deg": FACE_ANGLE,
        "refused": [row for row in rows if "refused" in row],
        "views": sum(row["views"] for row in done),
        "within_limit": sum(row["within"] for row in done),
        "of_them_sensitive": sum(row["found"] for row in done),
        "false_alarms": sum(row["alarms"] for row in done),
        "beyond_limit": sum(row["views"] - row["within"] for row in done),
        "detector_alone": sum(row["detector_alone"] for row in done),
        "detector_alarms_beyond": sum(row["detector_alarms"] for row in done),
        "front_error_deg": {
            "mean": float(np.mean([row["front_error_deg"] for row in done])),
            "worst": float(np.max([row["front_error_deg"] for row in done])),
        },
        "rows": rows,
    }


def _head_row(views: list[View], seen: dict[str, Any]) -> dict[str, Any]:
    marks = {name: np.array(m) for name, m in seen["landmarks"].items()}
    try:
        head = head_frame(views, marks)
    except PrivheadError as error:
        return {"refused": error.problem, "views": len(views)}
    placed = [moved(view, head.turn, head.scale, head.shift) for view in views]
    roles = view_roles(placed, seen["faces"], head.nose_tip, {}, doubt=head.doubt)
    within = [angle_from_front(view, (0.0, 0.0, 1e-6)) <= FACE_ANGLE for view in views]
    sensitive = [role.role == "sensitive" for role in roles]
    pairs = list(zip(within, sensitive, roles, strict=True))
    return {
        "views": len(views),
        "within": sum(within),
        "found": sum(w and s for w, s, _ in pairs),
        "alarms": sum(s and not w for w, s, _ in pairs),
        "detector_alone": sum(w and r.faces > 0 for w, _, r in pairs),
        "detector_alarms": sum(r.faces > 0 and not w for w, _, r in pairs),
        "agreeing": len(head.used),
        "front_error_deg": float(np.degrees(np.arccos(np.clip(head.turn[2, 2], -1, 1)))),
    }


def made() -> dict[str, Any]:
    """Whole captures of a made head: two heights, and the level circle with and without --fov."""
    found: dict[str, Any] = {}
    for name, heights, fov in (
        ("two heights", (2.0, 24.0), None),
        ("level circle", (5.0,), None),
        ("level circle, --fov 40", (5.0,), 40.0),
    ):
        cameras, _ = walk(32, size=320, elevations=heights)
        with TemporaryDirectory() as work:
            source, out = Path(work) / "film", Path(work) / "scene"
            masks = write_film(source, 7, cameras, progress=True)
            start = time.perf_counter()
            try:
                settings = CaptureSettings(fov=fov, pupils=61, threads=2)
                report = capture(source, out, settings, Choices(), progress=True)
            except PrivheadError as error:
                found[name] = {"refused": str(error)}
                continue
            poses = _kept_poses(steps_folder(out))
            rows = [int(re.findall(r"\d+", n)[0]) - 1 for n in poses.names]
            c2w = cameras.c2w.numpy()[rows]
            errors = camera_errors(poses, c2w[:, :3, :3].transpose(0, 2, 1), c2w[:, :3, 3])
            errors.pop("similarity")
            seconds = time.perf_counter() - start
            found[name] = {
                "posed_share": report["placed"] / report["pictures"],
                **errors,
                "fov_deg": report["fov_deg"],
                "seconds": seconds,
                "mask_share": float(masks.mean()),
            }
            if name == "two heights":
                found[name] |= _distances(load_scene(out), cameras)
        print(name, found[name], flush=True)
    return found


def _distances(scene: Scene, cameras: Cameras) -> dict[str, float]:
    """Of head 7 from the captured scene, with its cameras and with the true ones in their place."""
    rows = [int(re.findall(r"\d+", name)[0]) - 1 for name in scene.names]
    c2w, true = scene.cameras.c2w.numpy(), cameras.c2w.numpy()[rows]
    n = len(rows)
    poses = Poses(
        tuple(scene.names), c2w[:, :3, :3].transpose(0, 2, 1), c2w[:, :3, 3], np.ones(n),
        np.zeros(n), 0.0, "fov",
    )  # fmt: skip
    fit = camera_errors(poses, true[:, :3, :3].transpose(0, 2, 1), true[:, :3, 3])["similarity"]
    turn, scale, shift = fit["turn"], fit["scale"], fit["shift"]
    placed = np.tile(np.eye(4), (n, 1, 1))
    placed[:, :3, :3] = turn.T @ true[:, :3, :3]
    placed[:, :3, 3] = (true[:, :3, 3] - shift) @ turn / scale
    truth, found = synthetic_scene(7), {}
    for name, c2w in (("captured", scene.cameras.c2w), ("true", torch.from_numpy(placed))):
        given = replace(scene, cameras=replace(scene.cameras, c2w=c2w))
        made = reconstruct(
            protect(given, Operator(background="flat"), seed=0), "cpu", progress=False
        )
        there = Mesh(scale * made.mesh.vertices @ turn.T + shift, made.mesh.faces)
        found[f"mm_with_{name}_cameras"] = evaluate(there, truth).distance_mean
    return found


def outline() -> dict[str, Any]:
    """The largest angle from the front at which a landmark of the face is seen, by made head.

    Cameras at 600 mm, 10 degrees below to 30 above the face, every 2 degrees around it. A landmark
    is seen where nothing of the head lies between.
    """
    parts = {
        "brows": range(17, 27), "nose": range(27, 36), "eyes": range(36, 48), "lips": range(48, 60),
    }  # fmt: skip
    last: dict[str, list[float]] = {name: [] for name in parts}
    for identity in HEADS:
        head = make_head(identity)
        marks = head.landmarks().detach().float()
        start = marks + 1.5 * head.normals(marks).float()
        seen: dict[str, float] = dict.fromkeys(parts, 0.0)
        for up, around in itertools.product(
            np.radians((-10, 10, 30)), np.radians(range(90, 172, 2))
        ):
            toward = [np.sin(around) * np.cos(up), np.sin(up), np.cos(around) * np.cos(up)]
            camera = 600 * torch.tensor(toward, dtype=torch.float32)
            ray = torch.nn.functional.normalize(camera - marks, dim=1)
            points = start[:, None] + torch.arange(2.0, 260.0)[:, None] * ray[:, None]
            free = head.grid(points.reshape(-1, 3)).reshape(len(marks), -1).amin(1) > -0.2
            angle = float(np.degrees(np.arccos(toward[2])))
            for name, rows in parts.items():
                if free[list(rows)].any():
                    seen[name] = max(seen[name], angle)
        for name, angle in seen.items():
            last[name].append(round(angle, 1))
    summary = {
        name: {"least": min(all_), "median": float(np.median(all_)), "most": max(all_)}
        for name, all_ in last.items()
    }
    return {"heads": len(HEADS), "last_seen_deg": summary, "rows": last}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("part", choices=("film", "heads", "made", "outline"))
    parser.add_argument("folder", type=Path, nargs="?", default=FILM)
    parser.add_argument("--keep", type=Path, help="folder to keep the film's scene in, outside "
                        "of the repository; a second call goes on from its steps")  # fmt: skip
    parser.add_argument("--films", type=Path, help="of `heads`: folder of rendered films to "
                        "read, or to render into")  # fmt: skip
    given = parser.parse_args()
    if given.part == "film":
        if not (given.folder / "cameras.json").is_file():
            sys.exit(f"{given.folder}: no film with cameras.json; name its folder")
        result = film(given.folder, given.keep)
    else:
        parts = {"made": made, "outline": outline, "heads": lambda: heads(given.films)}
        result = parts[given.part]()
    result["machine"] = f"{platform.machine()}, {os.cpu_count()} cores"
    stored = json.loads(OUT.read_text()) if OUT.is_file() else {}
    write_json(OUT, stored | {given.part: result})
    print(json.dumps({k: v for k, v in result.items() if k != "rows"}, indent=1))


if __name__ == "__main__":
    main()
