"""Checks on the parametric heads: variety, detection, separability, and the pictures of the docs.

    python benchmarks/studies/heads.py distances detection separability pictures

writes benchmarks/results/heads.json and docs/pictures/. No part has settings: the seeds are below.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from privhead_nb import resources
from privhead_nb.files import write_json
from privhead_nb.heads.codes import (
    EXPRESSION_NAMES,
    GENERATOR_VERSION,
    code_from,
    identity_codes,
)
from privhead_nb.heads.grid import marching_cubes, sample_grid
from privhead_nb.heads.head import FACE_RADIUS, Head, make_head
from privhead_nb.heads.tracer import render
from privhead_nb.scenes.camera import custom_rig

ROOT = Path(__file__).resolve().parents[2]
RESULTS = resources.RESULTS / "heads.json"
PICTURES = ROOT / "docs" / "pictures"
PEOPLE = 100
PAIRS = 600
SEED = 0
Mesh = tuple[np.ndarray, np.ndarray]


def face_meshes() -> tuple[list[Mesh], list[Mesh]]:
    """Meshes of 100 resting heads with and without hair, their nose tips at the origin."""
    whole, bare = [], []
    for identity in tqdm(range(PEOPLE), desc="meshes"):
        head = make_head(identity)
        tip = head.nose_tip().numpy()
        for sdf, where in ((head.sdf, whole), (head.skin_sdf, bare)):
            vertices, faces = marching_cubes(sample_grid(sdf, 2.5, coarse=3))
            vertices = vertices - tip
            near = (np.linalg.norm(vertices, axis=1) < FACE_RADIUS + 25)[faces].all(1)
            where.append((vertices, faces[near]))
    return whole, bare


def _samples(mesh: Mesh, count: int, seed: int) -> np.ndarray:
    vertices, faces = mesh
    random = np.random.default_rng(seed)
    corners = vertices[faces]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    chosen = corners[random.choice(len(faces), 2 * count, p=area / area.sum())]
    weights = random.dirichlet((1, 1, 1), len(chosen))
    points = np.einsum("nk,nkd->nd", weights, chosen)
    return points[np.linalg.norm(points, axis=1) < FACE_RADIUS][:count]


def _to_mesh(points: np.ndarray, mesh: Mesh) -> np.ndarray:
    import igl

    squared = igl.point_mesh_squared_distance(points, mesh[0], mesh[1].astype(np.int64))[0]
    return np.sqrt(squared)


def _fit_rigid(moving: np.ndarray, still: np.ndarray, rounds: int = 12) -> np.ndarray:
    """ICP: the (4, 4) rigid motion that takes `moving` onto `still`."""
    from scipy.spatial import cKDTree

    tree, motion, points = cKDTree(still), np.eye(4), moving
    for _ in range(rounds):
        partner = still[tree.query(points)[1]]
        a, b = points.mean(0), partner.mean(0)
        u, _, vt = np.linalg.svd((points - a).T @ (partner - b))
        flip = np.diag([1, 1, np.sign(np.linalg.det(u @ vt))])
        turn = (u @ flip @ vt).T
        step = np.eye(4)
        step[:3, :3], step[:3, 3] = turn, b - turn @ a
        points, motion = points @ turn.T + step[:3, 3], step @ motion
    return motion


def pair_distances(meshes: list[Mesh], icp: bool) -> dict[str, float]:
    """Two-way mean point-to-triangle distance of random pairs, nose tips placed together.

    With `icp` the second head is then moved rigidly onto the first, which removes what pose and
    placing explain.
    """
    random = np.random.default_rng(SEED)
    samples = [_samples(m, 1500, k) for k, m in enumerate(meshes)]
    found = []
    for _ in tqdm(range(PAIRS), desc="pairs"):
        i, j = random.choice(len(meshes), 2, replace=False)
        points, mesh = samples[j], meshes[j]
        if icp:
            motion = _fit_rigid(points, _samples(meshes[i], 6000, 1))
            points = points @ motion[:3, :3].T + motion[:3, 3]
            mesh = (mesh[0] @ motion[:3, :3].T + motion[:3, 3], mesh[1])
        there, back = _to_mesh(points, meshes[i]), _to_mesh(samples[i], mesh)
        found.append((there.mean() + back.mean()) / 2)
    return {
        "mean_mm": round(float(np.mean(found)), 3),
        "p5_mm": round(float(np.percentile(found, 5)), 3),
        "min_mm": round(float(np.min(found)), 3),
    }


def distances() -> dict[str, Any]:
    """Check (a): how far apart two people's faces are."""
    whole, bare = face_meshes()
    return {
        "people": PEOPLE,
        "pairs": PAIRS,
        "seed": SEED,
        "region": f"{FACE_RADIUS} mm around the nose tip, nose tips placed together",
        "with_hair": pair_distances(whole, icp=False),
        "bare_face": pair_distances(bare, icp=False),
        "bare_face_after_icp": pair_distances(bare, icp=True),
        "goal": {"mean_mm": 2.5, "p5_mm": 1.2},
    }


SHEET_GRID = 2.5  # mm: where a ray starts its exact steps; 1.5 for scenes


def portrait(
    head: Head, size: int, yaw: float = 0.0, samples: int = 1, fov: float = 21.0
) -> Tensor:
    """(size, size, 3) picture from 900 mm."""
    turn = np.radians(yaw)
    eye = (900 * np.sin(turn), -5.0, 900 * np.cos(turn))
    cameras, _, _ = custom_rig([eye], [0], target=(0.0, -20.0, 0.0), size=size, fov_deg=fov)
    grid = sample_grid(head.sdf, SHEET_GRID if size > 64 else 2 * SHEET_GRID, coarse=3)
    return render(head, cameras, samples=samples, grid=grid).images[0]


def detection() -> dict[str, Any]:
    """Check (b): an ordinary detector finds the faces."""
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    cascade = Cascade(lbp_frontal_face_cascade_filename())
    missed: dict[str, list[int]] = {"1.05": [], "1.1": []}
    for identity in tqdm(range(PEOPLE), desc="detection"):
        picture = portrait(make_head(identity), 256).mul(255).round().byte().numpy()
        for factor, names in missed.items():
            found = cascade.detect_multi_scale(
                picture, float(factor), 1, min_size=(80, 80), max_size=(180, 180)
            )
            if not found:
                names.append(identity)
    return {
        "people": PEOPLE,
        "size": 256,
        "light": "studio",
        "found_share": {k: 1 - len(v) / PEOPLE for k, v in missed.items()},
        "missed": missed,
        "goal": 0.95,
    }


VARIANTS: dict[str, tuple[float, str, dict[str, float]]] = {
    "light left": (0.0, "left", {}),
    "light warm": (0.0, "warm", {}),
    "smile": (0.0, "studio", {"smile": 1.0, "brow_raise": 0.5}),
    "jaw open": (0.0, "studio", {"jaw_open": 1.0, "frown": 0.8}),
    "yaw 20": (20.0, "studio", {}),
    "yaw 20, outdoor, smile": (20.0, "outdoor", {"smile": 0.8}),
}


def separability() -> dict[str, Any]:
    """Check (d): nearest neighbours by HOG and by raw pixels, 24 people at 64 pixels.

    "Skin and shape only" takes away hair and colour: all share one albedo and are shorn.
    """
    from skimage.feature import hog

    people = 24

    def feature(picture: Tensor, kind: str) -> np.ndarray:
        grey = picture.mean(-1).numpy()
        vector = picture.numpy().ravel() if kind == "pixels" else hog(grey, 9, (8, 8), (2, 2))
        vector = vector - vector.mean()
        return np.asarray(vector / np.linalg.norm(vector))

    out: dict[str, Any] = {"people": people, "size": 64, "chance": 1 / people}
    for group in ("whole head", "skin and shape only"):
        pictures: dict[str, list[Tensor]] = {k: [] for k in ("gallery", *VARIANTS)}
        for identity in tqdm(range(people), desc=group):
            shape, albedo = identity_codes(identity)
            if group != "whole head":
                albedo = torch.zeros(24)
                shape[-10:-2] = torch.tensor([-1.0, 0, 0, -1, 0, 0, -1, -1])
            pictures["gallery"].append(portrait(make_head(shape, albedo=albedo), 64, fov=15.0))
            for name, (yaw, light, face) in VARIANTS.items():
                head = make_head(
                    shape, albedo=albedo, light=light, expression=code_from(EXPRESSION_NAMES, face)
                )
                pictures[name].append(portrait(head, 64, yaw, fov=15.0))
        out[group] = {}
        for kind in ("hog", "pixels"):
            gallery = np.stack([feature(p, kind) for p in pictures["gallery"]])
            out[group][kind] = {
                name: float(
                    np.mean(
                        (np.stack([feature(p, kind) for p in pictures[name]]) @ gallery.T).argmax(1)
                        == np.arange(people)
                    )
                )
                for name in VARIANTS
            }
    return out


def _save_sheet(tiles: list[Tensor], columns: int, name: str) -> None:
    rows = [torch.cat(tiles[k : k + columns], 1) for k in range(0, len(tiles), columns)]
    PICTURES.mkdir(parents=True, exist_ok=True)
    sheet = torch.cat(rows).mul(255).round().byte().numpy()
    Image.fromarray(sheet).save(PICTURES / name, optimize=True)


def _shaded(head: Head, size: int, yaw: float) -> Tensor:
    turn = np.radians(yaw)
    eye = (900 * np.sin(turn), -5.0, 900 * np.cos(turn))
    cameras, _, _ = custom_rig([eye], [0], target=(0.0, -20.0, 0.0), size=2 * size, fov_deg=17)
    picture = render(head, cameras, samples=1)
    sun = torch.nn.functional.normalize(torch.tensor([-0.45, 0.5, 0.75]), dim=0)
    grey = 0.08 + 0.9 * (
        0.65 * (picture.normals[0] @ sun).clamp(min=0)
        + 0.35 * picture.normals[0, ..., 2].clamp(min=0)
    )
    grey = torch.where(picture.labels[0] > 0, grey, 1.0)
    small = torch.nn.functional.avg_pool2d(grey[None, None], 2)[0, 0]
    return small[..., None].expand(-1, -1, 3)


def pictures() -> dict[str, Any]:
    """The sheets of docs/heads.md."""
    heads = [
        portrait(make_head(k), 192, samples=3, fov=22.5)
        for k in tqdm(range(200, 240), desc="5 x 8")
    ]
    _save_sheet(heads, 8, "heads_5x8.png")
    one = [
        portrait(
            make_head(206, light=light, expression=code_from(EXPRESSION_NAMES, face)),
            256,
            yaw,
            3,
            19.0,
        )
        for light, face, yaw in (
            ("studio", {}, 0.0),
            ("left", {"smile": 1.0}, 20.0),
            ("right", {"jaw_open": 1.0}, -25.0),
            ("warm", {"frown": 1.0}, 45.0),
            ("cool", {"blink_left": 1.0, "blink_right": 1.0}, 0.0),
            ("outdoor", {"pout": 1.0, "brow_raise": 1.0}, -50.0),
            ("top", {"sneer": 1.0}, 85.0),
            ("dim", {}, 180.0),
        )
    ]
    _save_sheet(one, 4, "head_one_identity.png")
    shaded = [_shaded(make_head(k), 256, yaw) for k in (201, 207, 213, 222) for yaw in (0.0, 45.0)]
    _save_sheet(shaded, 4, "head_normals.png")
    return {"files": ["heads_5x8.png", "head_one_identity.png", "head_normals.png"]}


PARTS = {
    "distances": distances,
    "detection": detection,
    "separability": separability,
    "pictures": pictures,
}


def main() -> None:
    """Run the named parts and store their figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=list(PARTS), metavar="PART")
    torch.set_num_threads(1)
    chosen = parser.parse_args().parts
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"no part {sorted(unknown)}; there are {', '.join(PARTS)}")
    for part in chosen:
        started = time.perf_counter()
        found = PARTS[part]()
        results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
        results |= {"generator_version": GENERATOR_VERSION, part: found}
        results[part]["seconds"] = round(time.perf_counter() - started, 1)
        print(json.dumps({part: results[part]}, indent=1))
        write_json(RESULTS, results)


if __name__ == "__main__":
    main()
