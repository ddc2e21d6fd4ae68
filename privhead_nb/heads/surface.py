"""All parts of a head put together: one evaluation gives the distance and what colour needs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from privhead_nb.heads.codes import Values
from privhead_nb.heads.features import Eye, add_lids, add_mouth, add_nose, ear, eye, mouth, teeth
from privhead_nb.heads.hair import hair, thickness
from privhead_nb.heads.primitives import bell, gate, noise, smooth_abs, smooth_min
from privhead_nb.heads.shape import bare_head, brow_line, undo_expression, undo_identity

SKIN, EYE, HAIR, TEETH = 0, 1, 2, 3
LABELS: tuple[str, ...] = (
    "background", "skin", "hair", "brows", "eyes", "nose", "lips", "ears", "neck",
)  # fmt: skip


class Surface(NamedTuple):
    """A head at N points; fields are (N,) but `hair_thickness`, mm where not said otherwise."""

    sdf: Tensor  # all parts, negative inside
    skin: Tensor  # the head without hair and eyes
    part: Tensor  # long: SKIN, EYE, HAIR or TEETH, whichever is nearest
    x: Tensor  # canonical coordinates
    ax: Tensor
    y: Tensor
    z: Tensor
    ear: Tensor  # distance to the ears
    nose: Tensor  # distance to the nose's solids
    nostril: Tensor  # distance to the nostrils
    lip: Tensor  # 1 on the lips, 0 off, soft
    seam: Tensor  # distance to the slot between the lips
    brow: Tensor  # 1 on the eyebrow's line, falling to 0 and below
    eye: Eye
    lid_zone: Tensor  # 1 near the eye's slit, 0 away, soft
    strands: Tensor  # hair relief, unit size
    hair_thickness: Tensor  # 0-d


def _brow(ax: Tensor, y: Tensor, v: Values) -> Tensor:
    t = (ax - 31.0) / 21.0
    half = 7.6 * (1.0 - 0.30 * t) * torch.clamp(1.0 - t**4, min=0.02)
    return 1.0 - (y - brow_line(ax, v)).abs() / half - gate(t.abs(), 1.0, 0.05)


def surface(points: Tensor, v: Values) -> Surface:
    """Evaluate a head.

    Args:
        points: (N, 3) mm.
        v: identity and expression entries by name.
    """
    px, py, pz = points.unbind(-1)
    rest = undo_identity(px, py, pz, v)
    x, y, z = undo_expression(*rest, v)
    ax = smooth_abs(x)
    head, base = bare_head(x, ax, y, z, v)
    e = eye(x, ax, y, z, v)
    head = add_lids(head, e, z, v)
    head, nose, hole = add_nose(head, x, ax, y, z, v)
    m = mouth(x, y, z, v)
    head = add_mouth(head, m, x, y, z, v)
    brow = _brow(ax, y, v)
    front = gate(z, 40.0, 6.0)
    tuft = 1.0 + 0.22 * noise(x + 0.7 * y, 0.3 * y, z, 4.0, 0)
    head = head - 1.1 * gate(brow, 0.45, 0.10) * front * tuft
    ears = ear(ax, y, z, v)
    head = smooth_min(head, ears, 4.0)
    tress, relief = hair(x, ax, y, z, base, v)
    solids = [head, e.ball, tress]
    if float(v["jaw_open"].detach()) > 0.05:
        solids.append(teeth(*rest, v))
    sdf, part = torch.stack(solids).min(dim=0)
    lip = gate(-torch.minimum(m.upper, m.lower), -1.1, 0.22) * gate(1.03 - m.u, 0.0, 0.02)
    lip = lip * gate(z, 66.0, 2.0)
    lid_zone = bell(e.right, 0.0, 15.0) * gate(z, 66.0, 2.0)
    lid_zone = lid_zone * gate(15.0 - e.right.abs(), 0.0, 0.5)
    return Surface(
        sdf=sdf,
        skin=head,
        part=part,
        x=x,
        ax=ax,
        y=y,
        z=z,
        ear=ears,
        nose=nose,
        nostril=hole,
        lip=lip,
        seam=m.seam,
        brow=brow * front,
        eye=e,
        lid_zone=lid_zone,
        strands=relief,
        hair_thickness=thickness(v),
    )


def gloss(s: Surface) -> Tensor:
    """Strength (N,) of the mirror term: eyes shine, hair a little, lips and skin less."""
    shiny = torch.where(s.part == HAIR, 0.45, 0.35 + 0.35 * s.lip)
    return torch.where(s.part == EYE, 1.5, shiny)


def label(s: Surface) -> Tensor:
    """Parsing label (N,) long of surface points: an index into LABELS, never 0."""
    out = torch.ones_like(s.part)
    under_jaw = s.y < -84.0 - 0.30 * s.z.clamp(-40.0, 70.0) + 6.0
    out[under_jaw & (s.z < 52.0) | (s.y < -124.0)] = LABELS.index("neck")
    out[s.ear < 1.2] = LABELS.index("ears")
    out[(s.nose < 1.2) & (s.y < 0.0)] = LABELS.index("nose")
    out[s.brow > 0.45] = LABELS.index("brows")
    out[(s.lip > 0.5) | (s.part == TEETH)] = LABELS.index("lips")
    out[s.part == EYE] = LABELS.index("eyes")
    out[s.part == HAIR] = LABELS.index("hair")
    return out
