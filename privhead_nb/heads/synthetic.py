"""Scenes of made heads: pictures, cameras and truth from a person's number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from privhead_nb.errors import SceneError, check_choice
from privhead_nb.heads.codes import (
    ALBEDO_NAMES,
    EXPRESSION_NAMES,
    GENERATOR_VERSION,
    code_from,
    identity_codes,
)
from privhead_nb.heads.head import FACE_RADIUS, make_head
from privhead_nb.heads.tracer import render
from privhead_nb.scenes.camera import RIGS, Rig, Vec3, directions, look_at, make_rig
from privhead_nb.scenes.scene import Scene

SPHERE_MARGIN = 1.1


def bounding_sphere(vertices: np.ndarray) -> tuple[Vec3, float]:
    """Centre and radius of a sphere around a head, with a tenth to spare; mm.

    The centre lies on the head's plane of symmetry, in the middle of its box.
    """
    middle = (vertices.min(0) + vertices.max(0)) / 2
    center = (0.0, round(float(middle[1]), 1), round(float(middle[2]), 1))
    reach = float(np.linalg.norm(vertices - np.array(center), axis=1).max())
    return center, round(SPHERE_MARGIN * reach, 1)


def _jitter(rig: Rig, center: Vec3, seed: int) -> Rig:
    """Move cameras by up to 3 degrees and 4 % of their distance; seed 0 leaves the rig as it is."""
    if seed == 0:
        return rig
    cameras, sensitive, neutral = rig
    random = np.random.default_rng(seed)
    offset = cameras.centers.numpy() - np.array(center)
    distance = np.linalg.norm(offset, axis=1) * random.uniform(0.96, 1.04, len(offset))
    azimuth = np.arctan2(offset[:, 0], offset[:, 2])
    elevation = np.arcsin(offset[:, 1] / np.linalg.norm(offset, axis=1))
    azimuth += np.radians(random.uniform(-3, 3, len(offset)))
    elevation += np.radians(random.uniform(-3, 3, len(offset)))
    eyes = np.array(center) + distance[:, None] * directions(azimuth, elevation)
    moved = look_at(torch.from_numpy(eyes), torch.tensor(center))
    return replace(cameras, c2w=moved), sensitive, neutral


def synthetic_scene(
    identity: int,
    *,
    neutral: int = 10,
    sensitive: int = 20,
    size: int = 64,
    rig: str = "facescape",
    expression: Mapping[str, float] | Tensor | None = None,
    albedo: Mapping[str, float] | None = None,
    light: str | Tensor = "studio",
    seed: int = 0,
    samples: int = 3,
    progress: bool = False,
) -> Scene:
    """A whole scene of a made head: the same arguments always give the same scene.

    Args:
        identity: whose head, 0 or more.
        neutral: views from behind, which show no face.
        sensitive: views from the front and sides.
        size: width and height in pixels.
        rig: "facescape", "h3ds" or "orbit".
        expression: entries by name ({"smile": 0.8}), a code (10,), or None for a resting face.
        albedo: entries ({"skin_tone": -1.0}) that take the place of the person's own.
        light: a name in LIGHTS, or 27 spherical-harmonic numbers.
        seed: moves every camera a little; 0 leaves the rig exact.
        samples: rays along a pixel's side, odd.
        progress: show a bar.

    Raises:
        SceneError: an unknown rig, light or entry, a code out of range, no views, or a size
            below 1.
    """
    check_choice("rig", rig, RIGS, where="rig", error=SceneError)
    if neutral < 0 or sensitive < 0 or neutral + sensitive < 1 or size < 1:
        raise SceneError(
            f"{neutral} neutral and {sensitive} sensitive views of {size} pixels",
            where="synthetic scene",
            remedy="Give at least one view and one pixel.",
        )
    if expression is not None and not isinstance(expression, Tensor):
        expression = code_from(EXPRESSION_NAMES, dict(expression))
    colour = None
    if albedo is not None:
        own = dict(zip(ALBEDO_NAMES, identity_codes(identity)[1].tolist(), strict=True))
        colour = code_from(ALBEDO_NAMES, own | dict(albedo))
    head = make_head(identity, albedo=colour, expression=expression, light=light)
    vertices, faces = head.truth_mesh()
    center, radius = bounding_sphere(vertices)
    placed = make_rig(rig, neutral, sensitive, size=size, center=center)
    cameras, secret, free = _jitter(placed, center, seed)
    pictures = render(head, cameras, samples=samples, progress=progress)
    landmarks = head.landmarks().detach().numpy().astype(np.float64)
    tip = landmarks[30]
    return Scene(
        images=pictures.images,
        masks=pictures.masks,
        cameras=cameras,
        sensitive=secret,
        neutral=free,
        center=center,
        radius=radius,
        nose_tip=(float(tip[0]), float(tip[1]), float(tip[2])),
        face_radius=FACE_RADIUS,
        licence="made by privhead_nb, CC0",
        landmarks=landmarks,
        truth=(vertices, faces),
        name=f"head_{identity}",
        assumptions=(f"head generator version {GENERATOR_VERSION}",),
    )
