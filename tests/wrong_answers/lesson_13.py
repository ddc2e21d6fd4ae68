"""Lesson 13: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F


def unit(rows):
    return rows / rows.norm(dim=1, keepdim=True)


# 1301, distances of directions --------------------------------------------------------------------


def by_cosine(a, b):
    """The law of cosines, cut off at 0."""
    return (2 - 2 * F.cosine_similarity(a, b)).clamp(min=0).sqrt()


# 1302, eq. 8 --------------------------------------------------------------------------------------


def swap_by_cosine(z_i, z_j, z_made, margin):
    """Of unit vectors, squared distances are 2 - 2 cos."""
    cos_i, cos_j = ((z_made * z).sum(1) for z in (z_i, z_j))
    return F.relu(margin + 2 * (cos_j - cos_i)).mean()


# 1303, eq. 9 --------------------------------------------------------------------------------------


def goal_loop(source, made, tau):
    rows = zip(source, made, tau, strict=True)
    found = [abs(float(t) - float(torch.dist(a, b))) for a, b, t in rows]
    return torch.tensor(found).mean()


# 1304, consistency --------------------------------------------------------------------------------


def consistency_pdist(vectors):
    """Each pair of people once."""
    front = vectors[:, 0].contiguous()
    return (vectors[:, 1:] - vectors[:, :1]).norm(dim=2).mean(), F.pdist(front).mean()


# 1305, the background -----------------------------------------------------------------------------


def by_index(picture, made, before, after):
    out = made.clone()
    keep = (before == 0) & (after == 0)
    out[keep] = picture[keep]
    return out


# 1306, the attack ---------------------------------------------------------------------------------


def attack_by_distance(released, gallery, deidentify, embed):
    return torch.cdist(unit(embed(released)), unit(embed(deidentify(gallery)))).argmin(1)


WRONG: list[Any] = []  # the checks say nothing of a wrong answer that is none of their slips

RIGHT = [
    ("1301", by_cosine),
    ("1302", swap_by_cosine),
    ("1303", goal_loop),
    ("1304", consistency_pdist),
    ("1305", by_index),
    ("1306", attack_by_distance),
]
