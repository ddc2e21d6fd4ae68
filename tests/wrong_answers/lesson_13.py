"""Lesson 13: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from answers import edited, spoiled


def unit(rows):
    return rows / rows.norm(dim=1, keepdim=True)


# 1301, distances of directions --------------------------------------------------------------------


def by_cosine(a, b):
    """The law of cosines, cut off at 0."""
    return (2 - 2 * F.cosine_similarity(a, b)).clamp(min=0).sqrt()


def row_by_row(a, b):
    pairs = zip(a, b, strict=True)
    return torch.stack([torch.dist(x / x.norm(), y / y.norm()) for x, y in pairs])


# 1302, eq. 8 --------------------------------------------------------------------------------------


def swap(z_i, z_j, z_made, margin):
    near, far = ((z_made - z).square().sum(1) for z in (z_i, z_j))
    return (near + margin - far).clamp(min=0).mean()


def swap_loop(z_i, z_j, z_made, margin):
    found = [
        max(0.0, float(((m - i) ** 2).sum() + margin - ((m - j) ** 2).sum()))
        for i, j, m in zip(z_i, z_j, z_made, strict=True)
    ]
    return sum(found) / len(found)


def swap_by_cosine(z_i, z_j, z_made, margin):
    """Of unit vectors, squared distances are 2 - 2 cos."""
    cos_i, cos_j = ((z_made * z).sum(1) for z in (z_i, z_j))
    return F.relu(margin + 2 * (cos_j - cos_i)).mean()


# 1303, eq. 9 --------------------------------------------------------------------------------------


def goal(source, made, tau):
    distance = (source - made).norm(dim=1)
    return (tau - distance).abs().mean()


def goal_loop(source, made, tau):
    rows = zip(source, made, tau, strict=True)
    found = [abs(float(t) - float(torch.dist(a, b))) for a, b, t in rows]
    return torch.tensor(found).mean()


def goal_l1(source, made, tau):
    """Torch's own mean of absolute differences."""
    return F.l1_loss(torch.linalg.vector_norm(source - made, dim=1), tau)


# 1304, consistency --------------------------------------------------------------------------------


def consistency_loop(vectors):
    people, views = vectors.shape[:2]
    own = [torch.dist(vectors[p, v], vectors[p, 0]) for p in range(people) for v in range(1, views)]
    other = [
        torch.dist(vectors[p, 0], vectors[q, 0])
        for p in range(people)
        for q in range(people)
        if p != q
    ]
    return torch.stack(own).mean(), torch.stack(other).mean()


def consistency_pdist(vectors):
    """Each pair of people once."""
    front = vectors[:, 0].contiguous()
    return (vectors[:, 1:] - vectors[:, :1]).norm(dim=2).mean(), F.pdist(front).mean()


def strangers_views(vectors):
    other = ~torch.eye(len(vectors), dtype=torch.bool)
    table = (vectors[:, None, :, None] - vectors[None, :, None]).norm(dim=-1)
    return consistency_pdist(vectors)[0], table[other].mean()


# 1305, the background -----------------------------------------------------------------------------


def by_blending(picture, made, before, after):
    """A mask of zeros and ones."""
    head = ((before != 0) | (after != 0)).unsqueeze(-1).to(picture)
    return head * made + (1 - head) * picture


def by_index(picture, made, before, after):
    out = made.clone()
    keep = (before == 0) & (after == 0)
    out[keep] = picture[keep]
    return out


# 1306, the attack ---------------------------------------------------------------------------------


def attack(released, gallery, deidentify, embed):
    known = deidentify(gallery)
    return (unit(embed(released)) @ unit(embed(known)).T).argmax(1)


def attack_loop(released, gallery, deidentify, embed):
    known = embed(deidentify(gallery))
    return torch.stack([F.cosine_similarity(one, known).argmax() for one in embed(released)])


def attack_by_distance(released, gallery, deidentify, embed):
    return torch.cdist(unit(embed(released)), unit(embed(deidentify(gallery)))).argmin(1)


KEEP = "(before == 0) & (after == 0)"
SELF, DIAGONAL = ("vectors[:, 1:]", "vectors"), ("F.pdist(front)", "torch.cdist(front, front)")

WRONG = [
    ("1301", lambda a, b: (a - b).norm(dim=1), "length one first"),
    ("1301", lambda a, b: (unit(a) - b).norm(dim=1), "both sides"),
    ("1301", lambda a, b: (unit(a) - unit(b)).square().sum(1), "take its root"),
    ("1301", lambda a, b: 1 - F.cosine_similarity(a, b), "half of the squared"),
    ("1301", lambda a, b: F.cosine_similarity(a, b), "small means alike"),
    ("1301", lambda a, b: F.cosine_similarity(a, b).clamp(-1, 1).arccos(), "straight through"),
    ("1301", lambda a, b: (unit(a) - unit(b)).norm(dim=1).mean(), "has the shape"),
    ("1301", lambda a, b: torch.cdist(unit(a), unit(b)), "has the shape"),
    *spoiled(
        "1302", swap,
        (".clamp(min=0)", "", "cut off below 0"),
        (".clamp(min=0).mean()", ".mean().clamp(min=0)", "cut off for each picture"),
        ("near, far", "far, near", "changed places"),
        ("+ margin", "- margin", "makes the task harder"),
        ("sum(1)", "sum(1).sqrt()", "squared distances"),
        ("sum(1)", "mean(1)", "don't average them"),
        ("mean()", "sum()", "not a sum"),
    ),
    *spoiled(
        "1303", goal,
        (".abs()", "", "absolute value"),
        (".abs()", ".clamp(min=0)", "one-sided cut"),
        (".abs().mean()", ".mean().abs()", "the mean after"),
        ("norm(dim=1)", "square().sum(1)", "not its square"),
        (".abs()", ".square()", "not a squared one"),
        (".mean()", ".sum()", "not a sum"),
        ("(source - made).norm(dim=1)", "1 - F.cosine_similarity(source, made)", "1 - cosine"),
        (".mean()", "", "has the shape"),
    ),
    *spoiled(
        "1304", consistency_pdist,
        (*SELF, "no evidence"),
        (*DIAGONAL, "leave out the diagonal"),
        ("(vectors[:, 1:] - vectors[:, :1]).norm(dim=2)",
         "torch.stack([F.pdist(views) for views in vectors])", "not between all pairs"),
        (".norm(dim=2).mean()", ".norm(dim=2).mean(1)", "not made of numbers"),
    ),
    ("1304", edited(consistency_pdist, SELF, DIAGONAL), "both at once"),
    ("1304", strangers_views, "not between all of their views"),
    ("1304", lambda vectors: consistency_pdist(vectors)[::-1], "within comes first"),
    *spoiled(
        "1305", by_index,
        (KEEP, "before == 0", "you cut it off"),
        (KEEP, "after == 0", "the old face shows"),
        (KEEP, "(before == 0) | (after == 0)", "not in either"),
        (KEEP, "before == after", "a face among it"),
        ("made.clone()", "made", "changes what it is given"),
    ),
    ("1305", lambda picture, made, *labels: by_index(made, picture, *labels),
     "the other way round"),
    ("1305", edited(by_blending, (".unsqueeze(-1)", "")), "raises"),
    *spoiled(
        "1306", attack,
        ("deidentify(gallery)", "gallery", "what happened to the releases?"),
        ("embed(released)", "embed(deidentify(released))", "already"),
        ("known = deidentify(gallery)", "released, known = deidentify(released), gallery",
         "wrong side"),
        ("argmax", "argmin", "largest cosine"),
        ("unit(embed(released)) @ unit(embed(known)).T", "embed(released) @ embed(known).T",
         "any length"),
        ("argmax", "amax", "not how near"),
        (".argmax(1)", "", "has the shape"),
    ),
]  # fmt: skip

RIGHT = [
    ("1301", by_cosine),
    ("1301", row_by_row),
    ("1302", swap),
    ("1302", swap_loop),
    ("1302", swap_by_cosine),
    ("1303", goal),
    ("1303", goal_loop),
    ("1303", goal_l1),
    ("1304", consistency_loop),
    ("1304", consistency_pdist),
    ("1305", by_blending),
    ("1305", by_index),
    ("1306", attack),
    ("1306", attack_loop),
    ("1306", attack_by_distance),
]
