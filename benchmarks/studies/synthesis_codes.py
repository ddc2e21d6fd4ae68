"""What an attacker by synthesis does not know of a head, as one vector; and how near he came."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from benchmarks.studies.synthesis_render import FACE_FROM, carried
from privhead_nb.errors import LabError
from privhead_nb.heads.codes import ALBEDO_NAMES, EXPRESSION_NAMES, IDENTITY_NAMES
from privhead_nb.heads.head import FACE_RADIUS, Head, make_head
from privhead_nb.heads.light import LIGHT_SIZE, LIGHTS
from privhead_nb.lab.framing import FRONT, portrait_cameras
from privhead_nb.lab.raster import photograph

PARTS = {
    "identity": len(IDENTITY_NAMES),
    "albedo": len(ALBEDO_NAMES),
    "expression": len(EXPRESSION_NAMES),
    "light": LIGHT_SIZE,
}
_LIT = torch.stack([light for name, light in LIGHTS.items() if name != "back"])


@dataclass(frozen=True, eq=False)
class Codes:
    """Which parts of a head are sought, K numbers in all, and what the others are.

    Args:
        unknown: some of PARTS, "identity" among them.
        expression: (10,) where it is known.
        light: (27,) where it is known.

    Raises:
        LabError: an unknown part, or none.
    """

    unknown: tuple[str, ...] = ("identity", "albedo")
    expression: Tensor = field(default_factory=lambda: torch.zeros(len(EXPRESSION_NAMES)))
    light: Tensor = field(default_factory=lambda: LIGHTS["studio"].clone())

    def __post_init__(self) -> None:
        if "identity" not in self.unknown or not set(self.unknown) <= PARTS.keys():
            raise LabError(
                f"unknown parts {self.unknown}",
                where="synthesis",
                remedy=f"Take identity, and others of {', '.join(PARTS)}.",
            )

    @property
    def mean(self) -> Tensor:
        """(K,) of people at large."""
        centre = {"light": _LIT.mean(0), "expression": torch.full((PARTS["expression"],), 0.12)}
        return torch.cat([centre.get(name, torch.zeros(PARTS[name])) for name in self.unknown])

    @property
    def spread(self) -> Tensor:
        """(K,) standard deviations: of uniform numbers, and of lights."""
        sizes = {"light": _LIT.std(0).clamp_min(0.05), "expression": torch.full((10,), 0.22)}
        flat = 3**-0.5
        return torch.cat([sizes.get(n, torch.full((PARTS[n],), flat)) for n in self.unknown])

    def read(self, head: Head) -> Tensor:
        """(K,) of a head."""
        return torch.cat([getattr(head, name) for name in self.unknown]).detach()

    def head(self, code: Tensor) -> Head:
        """A head of a code (K,), in the code's dtype."""
        parts = dict(zip(self.unknown, code.split([PARTS[n] for n in self.unknown]), strict=True))
        known = {
            "albedo": torch.zeros(PARTS["albedo"]),
            "expression": self.expression,
            "light": self.light,
        }
        return Head(**{k: v.to(code) for k, v in (known | parts).items()})

    def clamped(self, code: Tensor) -> Tensor:
        """(K,) where heads are made: codes in [-1, 1], light within four spreads."""
        limit = torch.cat([torch.full((PARTS[n],), 1.0) for n in self.unknown])
        lit = torch.cat([torch.full((PARTS[n],), n == "light") for n in self.unknown])
        low = torch.where(lit, self.mean - 4 * self.spread, -limit)
        high = torch.where(lit, self.mean + 4 * self.spread, limit)
        return torch.minimum(torch.maximum(code, low), high)

    def is_shape(self, entry: int) -> bool:
        """Whether an entry moves the surface."""
        sizes = torch.tensor([PARTS[n] for n in self.unknown]).cumsum(0)
        return self.unknown[int((sizes <= entry).sum())] in ("identity", "expression")


@torch.no_grad()
def front_portrait(head: Head) -> Tensor:
    """(64, 64, 3) as a gallery holds it: from the front, at rest, in studio light."""
    rest = make_head(head.identity.float(), albedo=head.albedo.float())
    return photograph(rest, portrait_cameras(FRONT))[0]


@torch.no_grad()
def face_distance(guess: Head, truth: Head) -> float:
    """Mean distance, mm, from the true face (within FACE_RADIUS of the nose tip) to the guess.

    To first order: the guess's SDF over its slope.
    """
    points = carried(truth).vertices
    near = (points - truth.nose_tip()).norm(dim=1) < FACE_RADIUS
    points = points[near & (points[:, 2] > FACE_FROM)]
    normals = guess.normals(points)
    slope = (guess.sdf(points + 0.5 * normals) - guess.sdf(points - 0.5 * normals)).clamp_min(0.3)
    return float((guess.sdf(points) / slope).abs().mean())


def code_errors(guess: Head, truth: Head) -> dict[str, float]:
    """Root mean square error of identity and albedo codes; a guess of 0 gets 0.577."""
    return {
        name: float((getattr(guess, name) - getattr(truth, name)).square().mean().sqrt())
        for name in ("identity", "albedo")
    }
