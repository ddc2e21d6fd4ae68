"""Bundle adjustment with the focal length held, of a walk whose points are known: small and dense.

What a mapper does at each of its steps, without its search: it starts at the truth, so what it
shows is what the pictures say, and not where a search got stuck.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from privhead_nb.scenes.camera import directions
from privhead_nb.teach.lesson16.photos import ROOM

Array = NDArray[np.float64]
NOISE = 0.3  # pixels of each measured point
SIZE, FOCAL, AWAY = 256, 351.7, 700.0
HEAD = 100.0  # radius of the ball that stands for a head, mm


@dataclass(frozen=True, eq=False)
class Walk:
    """Cameras, points, and where they were seen.

    Args:
        R: (V, 3, 3) into each camera: x right, y down, z forward.
        centers: (V, 3), mm.
        points: (N, 3), mm.
        pixels: (V, N, 2) from the picture's middle.
        seen: (V, N).
    """

    R: Array
    centers: Array
    points: Array
    pixels: Array
    seen: NDArray[np.bool_]

    def first(self, count: int) -> Walk:
        """The walk's first pictures, and the points that two of them show."""
        seen = self.seen[:count]
        some = seen.sum(0) >= 2
        return Walk(
            self.R[:count], self.centers[:count], self.points[some],
            self.pixels[:count, some], seen[:, some],
        )  # fmt: skip

    def away(self) -> float:
        """Mean distance of the cameras from the head, in radii of the head."""
        ball = self.points[np.linalg.norm(self.points, axis=1) < 0.3 * ROOM]
        middle = ball.mean(0)
        radius = np.linalg.norm(ball - middle, axis=1).mean()
        return float(np.linalg.norm(self.centers - middle, axis=1).mean() / radius)


def walk(heights: tuple[float, ...], views: int = 24, points: int = 240, seed: int = 1) -> Walk:
    """A walk around a ball in a room, at elevations in turn (degrees), each camera looking at it.

    `points` of them lie on the walls and a third as many on the ball.
    """
    random = np.random.default_rng(seed)
    around = np.linspace(-np.pi, np.pi, views, endpoint=False)
    centers = AWAY * directions(around, np.radians(np.resize(heights, views)))
    forward = -centers / AWAY
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    R = np.stack([right, np.cross(forward, right), forward], 1)
    wall = random.uniform(-ROOM, ROOM, (points, 3))
    wall[np.arange(points), random.choice([0, 2], points)] = ROOM * random.choice([-1, 1], points)
    out = random.normal(size=(points // 3, 3))
    ball = HEAD * out / np.linalg.norm(out, axis=1, keepdims=True)
    every = np.concatenate([wall, ball])
    q = np.einsum("vij,vnj->vni", R, every - centers[:, None])
    pixels = FOCAL * q[..., :2] / q[..., 2:]
    seen = (q[..., 2] > 0) & (np.abs(pixels) < SIZE / 2).all(-1)
    seen[:, points:] &= np.einsum("vni,ni->vn", centers[:, None] - ball, ball) > 0
    return Walk(R, centers, every, pixels + random.normal(0, NOISE, pixels.shape), seen)


def adjust(start: Walk, focal: float, rounds: int = 30) -> tuple[Walk, float]:
    """Levenberg and Marquardt over cameras and points; the walk found, and its error in pixels.

    Args:
        start: where to begin, and what was seen.
        focal: held, pixels.
        rounds: at most.
    """
    at, damping = start, 1e-3
    off, seen_from = _residuals(at, focal)
    for _ in range(rounds):
        J = _jacobian(at, seen_from, focal)
        hessian, slope = J.T @ J, J.T @ off.ravel()
        before = (off**2).sum()
        while damping < 1e6:
            scaled = hessian + damping * np.diag(hessian.diagonal() + 1e-12)
            new = _moved(at, np.asarray(-np.linalg.solve(scaled, slope), np.float64))
            off_new, q_new = _residuals(new, focal)
            if (off_new**2).sum() < before and q_new[:, 2].min() > 0:
                break
            damping *= 5
        else:
            break
        at, off, seen_from, damping = new, off_new, q_new, max(damping / 5, 1e-9)
        if before - (off**2).sum() < 1e-5 * before:
            break
    return at, float(np.linalg.norm(off, axis=1).mean())


def _residuals(at: Walk, focal: float) -> tuple[Array, Array]:
    """(M, 2) pixels off, and (M, 3) the points in their cameras, of the M sightings."""
    v, n = np.nonzero(at.seen)
    q = np.einsum("mij,mj->mi", at.R[v], at.points[n] - at.centers[v])
    return focal * q[:, :2] / q[:, 2:] - at.pixels[v, n], q


def _jacobian(at: Walk, q: Array, focal: float) -> Array:
    """(2M, 6V + 3N): by turns and places of cameras, then by points."""
    v, n = np.nonzero(at.seen)
    D = np.zeros((len(v), 2, 3))
    D[:, 0, 0] = D[:, 1, 1] = focal / q[:, 2]
    D[:, :, 2] = -focal * q[:, :2] / q[:, 2:] ** 2
    by_point = D @ at.R[v]
    by_turn = D @ np.cross(np.eye(3), q[:, None]).transpose(0, 2, 1)
    J = np.zeros((len(v), 2, 6 * len(at.R) + 3 * len(at.points)))
    row = np.arange(len(v))[:, None]
    J[row, :, 6 * v[:, None] + np.arange(6)] = np.concatenate([by_turn, -by_point], 2).swapaxes(
        1, 2
    )
    J[row, :, 6 * len(at.R) + 3 * n[:, None] + np.arange(3)] = by_point.swapaxes(1, 2)
    return J.reshape(2 * len(v), -1)


def _moved(at: Walk, step: Array) -> Walk:
    """The walk after a step of `_jacobian`'s columns."""
    camera = step[: 6 * len(at.R)].reshape(-1, 6)
    R = np.stack([_turn(w) for w in camera[:, :3]]) @ at.R
    points = at.points + step[6 * len(at.R) :].reshape(-1, 3)
    return replace(at, R=R, centers=at.centers + camera[:, 3:], points=points)


def _turn(w: Array) -> Array:
    """Rodrigues: the rotation about w by its length in radians."""
    angle = float(np.linalg.norm(w))
    if angle < 1e-12:
        return np.eye(3)
    K = np.cross(np.eye(3), w / angle)
    return np.asarray(np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * K @ K)
