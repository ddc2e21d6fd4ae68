"""Lesson 13: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F


def unit(rows: Any) -> Any:
    return rows / rows.norm(dim=1, keepdim=True)


# 1301, distances of directions --------------------------------------------------------------------


def by_cosine(a: Any, b: Any) -> Any:
    """Right: the law of cosines, cut off at 0."""
    return (2 - 2 * F.cosine_similarity(a, b)).clamp(min=0).sqrt()


def row_by_row(a: Any, b: Any) -> Any:
    """Right: a loop."""
    pairs = zip(a, b, strict=True)
    return torch.stack([torch.dist(x / x.norm(), y / y.norm()) for x, y in pairs])


def apart_plain(a: Any, b: Any) -> Any:
    return (a - b).norm(dim=1)


def apart_half(a: Any, b: Any) -> Any:
    return (unit(a) - b).norm(dim=1)


def apart_squared(a: Any, b: Any) -> Any:
    return (unit(a) - unit(b)).pow(2).sum(1)


def apart_similar(a: Any, b: Any) -> Any:
    return F.cosine_similarity(a, b)


def apart_cosine(a: Any, b: Any) -> Any:
    return 1 - F.cosine_similarity(a, b)


def apart_angle(a: Any, b: Any) -> Any:
    return torch.arccos(F.cosine_similarity(a, b).clamp(-1, 1))


def apart_mean(a: Any, b: Any) -> Any:
    return (unit(a) - unit(b)).norm(dim=1).mean()


def apart_all(a: Any, b: Any) -> Any:
    return torch.cdist(unit(a), unit(b))


# 1302, eq. 8 --------------------------------------------------------------------------------------


def swap_loop(z_i: Any, z_j: Any, z_made: Any, margin: Any) -> Any:
    """Right: picture by picture."""
    found = [
        max(0.0, float(((m - i) ** 2).sum() + margin - ((m - j) ** 2).sum()))
        for i, j, m in zip(z_i, z_j, z_made, strict=True)
    ]
    return sum(found) / len(found)


def swap_by_cosine(z_i: Any, z_j: Any, z_made: Any, margin: Any) -> Any:
    """Right for unit vectors: squared distances are 2 - 2 cos."""
    cos_i, cos_j = ((z_made * z).sum(1) for z in (z_i, z_j))
    return F.relu(margin + 2 * (cos_j - cos_i)).mean()


def squares(z_i: Any, z_j: Any, z_made: Any) -> Any:
    return ((z_made - z_i) ** 2).sum(1), ((z_made - z_j) ** 2).sum(1)


def swap_uncut(z_i: Any, z_j: Any, z_made: Any, margin: Any) -> Any:
    near, far = squares(z_i, z_j, z_made)
    return (near + margin - far).mean()


def swap_cut_late(z_i: Any, z_j: Any, z_made: Any, margin: Any) -> Any:
    near, far = squares(z_i, z_j, z_made)
    return (near + margin - far).mean().clamp(min=0)


def swap_changed(z_i: Any, z_j: Any, z_made: Any, margin: Any) -> Any:
    near, far = squares(z_i, z_j, z_made)
    return (far + margin - near).clamp(min=0).mean()


def swap_margin(z_i: Any, z_j: Any, z_made: Any, margin: Any) -> Any:
    near, far = squares(z_i, z_j, z_made)
    return (near - far - margin).clamp(min=0).mean()


def swap_roots(z_i: Any, z_j: Any, z_made: Any, margin: Any) -> Any:
    near, far = (torch.sqrt(d) for d in squares(z_i, z_j, z_made))
    return (near - far + margin).clamp(min=0).mean()


def swap_mse(z_i: Any, z_j: Any, z_made: Any, margin: Any) -> Any:
    near, far = ((z_made - z).pow(2).mean(1) for z in (z_i, z_j))
    return (near + margin - far).clamp(min=0).mean()


def swap_sum(z_i: Any, z_j: Any, z_made: Any, margin: Any) -> Any:
    near, far = squares(z_i, z_j, z_made)
    return (near + margin - far).clamp(min=0).sum()


# 1303, eq. 9 --------------------------------------------------------------------------------------


def goal_loop(source: Any, made: Any, tau: Any) -> Any:
    """Right: picture by picture."""
    rows = zip(source, made, tau, strict=True)
    found = [abs(float(t) - float(torch.dist(a, b))) for a, b, t in rows]
    return torch.tensor(found).mean()


def goal_l1(source: Any, made: Any, tau: Any) -> Any:
    """Right: torch's own mean of absolute differences."""
    return F.l1_loss(torch.linalg.vector_norm(source - made, dim=1), tau)


def goal_signed(source: Any, made: Any, tau: Any) -> Any:
    return (tau - (source - made).norm(dim=1)).mean()


def goal_one_side(source: Any, made: Any, tau: Any) -> Any:
    return (tau - (source - made).norm(dim=1)).clamp(min=0).mean()


def goal_late(source: Any, made: Any, tau: Any) -> Any:
    return (tau.mean() - (source - made).norm(dim=1).mean()).abs()


def goal_squared(source: Any, made: Any, tau: Any) -> Any:
    return (tau - (source - made).pow(2).sum(1)).abs().mean()


def goal_mse(source: Any, made: Any, tau: Any) -> Any:
    return F.mse_loss((source - made).norm(dim=1), tau)


def goal_sum(source: Any, made: Any, tau: Any) -> Any:
    return (tau - (source - made).norm(dim=1)).abs().sum()


def goal_cosine(source: Any, made: Any, tau: Any) -> Any:
    return (tau - (1 - F.cosine_similarity(source, made))).abs().mean()


def goal_all(source: Any, made: Any, tau: Any) -> Any:
    return (tau - (source - made).norm(dim=1)).abs()


# 1304, consistency --------------------------------------------------------------------------------


def consistency_loop(vectors: Any) -> Any:
    """Right: pair by pair."""
    people, views = vectors.shape[:2]
    own = [torch.dist(vectors[p, v], vectors[p, 0]) for p in range(people) for v in range(1, views)]
    other = [
        torch.dist(vectors[p, 0], vectors[q, 0])
        for p in range(people)
        for q in range(people)
        if p != q
    ]
    return torch.stack(own).mean(), torch.stack(other).mean()


def consistency_pdist(vectors: Any) -> Any:
    """Right: each pair of people once."""
    front = vectors[:, 0]
    return (vectors[:, 1:] - vectors[:, :1]).norm(dim=-1).mean(), F.pdist(front).mean()


def with_itself(vectors: Any) -> Any:
    return (vectors - vectors[:, :1]).norm(dim=2).mean(), F.pdist(vectors[:, 0]).mean()


def with_diagonal(vectors: Any) -> Any:
    front = vectors[:, 0].contiguous()
    return (vectors[:, 1:] - vectors[:, :1]).norm(dim=2).mean(), torch.cdist(front, front).mean()


def with_both(vectors: Any) -> Any:
    return with_itself(vectors)[0], with_diagonal(vectors)[1]


def every_pair(vectors: Any) -> Any:
    found = torch.stack([F.pdist(views).mean() for views in vectors]).mean()
    return found, F.pdist(vectors[:, 0]).mean()


def strangers_views(vectors: Any) -> Any:
    other = ~torch.eye(len(vectors), dtype=torch.bool)
    table = (vectors[:, None, :, None] - vectors[None, :, None]).norm(dim=-1)
    return consistency_pdist(vectors)[0], table[other].mean()


def between_first(vectors: Any) -> Any:
    return consistency_pdist(vectors)[::-1]


def per_person(vectors: Any) -> Any:
    return (vectors[:, 1:] - vectors[:, :1]).norm(dim=2).mean(1), F.pdist(vectors[:, 0]).mean()


# 1305, the background -----------------------------------------------------------------------------


def by_blending(picture: Any, made: Any, before: Any, after: Any) -> Any:
    """Right: a mask of zeros and ones."""
    head = ((before != 0) | (after != 0)).unsqueeze(-1).to(picture)
    return head * made + (1 - head) * picture


def by_index(picture: Any, made: Any, before: Any, after: Any) -> Any:
    """Right: on a copy."""
    out = made.clone()
    keep = (before + after) == 0
    out[keep] = picture[keep]
    return out


def old_mask(picture: Any, made: Any, before: Any, after: Any) -> Any:
    return torch.where((before == 0)[..., None], picture, made)


def new_mask(picture: Any, made: Any, before: Any, after: Any) -> Any:
    return torch.where((after == 0)[..., None], picture, made)


def either(picture: Any, made: Any, before: Any, after: Any) -> Any:
    return torch.where(((before == 0) | (after == 0))[..., None], picture, made)


def reversed_(picture: Any, made: Any, before: Any, after: Any) -> Any:
    return by_index(made, picture, before, after)


def agreeing(picture: Any, made: Any, before: Any, after: Any) -> Any:
    return torch.where((before == after)[..., None], picture, made)


def no_axis(picture: Any, made: Any, before: Any, after: Any) -> Any:
    return torch.where((before == 0) & (after == 0), picture, made)


def in_place(picture: Any, made: Any, before: Any, after: Any) -> Any:
    made[(before == 0) & (after == 0)] = 0.5
    return made


# 1306, the attack ---------------------------------------------------------------------------------


def nearest(a: Any, b: Any) -> Any:
    return (unit(a) @ unit(b).T).argmax(1)


def attack_loop(released: Any, gallery: Any, deidentify: Any, embed: Any) -> Any:
    """Right: release by release."""
    known = embed(deidentify(gallery))
    return torch.stack([F.cosine_similarity(one, known).argmax() for one in embed(released)])


def attack_by_distance(released: Any, gallery: Any, deidentify: Any, embed: Any) -> Any:
    """Right: the smallest distance of unit vectors."""
    return torch.cdist(unit(embed(released)), unit(embed(deidentify(gallery)))).argmin(1)


def attack_naive(released: Any, gallery: Any, deidentify: Any, embed: Any) -> Any:
    return nearest(embed(released), embed(gallery))


def attack_twice(released: Any, gallery: Any, deidentify: Any, embed: Any) -> Any:
    return nearest(embed(deidentify(released)), embed(deidentify(gallery)))


def attack_wrong_side(released: Any, gallery: Any, deidentify: Any, embed: Any) -> Any:
    return nearest(embed(deidentify(released)), embed(gallery))


def attack_farthest(released: Any, gallery: Any, deidentify: Any, embed: Any) -> Any:
    return (unit(embed(released)) @ unit(embed(deidentify(gallery))).T).argmin(1)


def attack_any_length(released: Any, gallery: Any, deidentify: Any, embed: Any) -> Any:
    return (embed(released) @ embed(deidentify(gallery)).T).argmax(1)


def attack_score(released: Any, gallery: Any, deidentify: Any, embed: Any) -> Any:
    return (unit(embed(released)) @ unit(embed(deidentify(gallery))).T).max(1).values


def attack_table(released: Any, gallery: Any, deidentify: Any, embed: Any) -> Any:
    return unit(embed(released)) @ unit(embed(deidentify(gallery))).T


WRONG = [
    ("1301", apart_plain, "length one first"),
    ("1301", apart_half, "both sides"),
    ("1301", apart_squared, "take its root"),
    ("1301", apart_cosine, "half of the squared"),
    ("1301", apart_similar, "small means alike"),
    ("1301", apart_angle, "straight through"),
    ("1301", apart_mean, "has the shape"),
    ("1301", apart_all, "has the shape"),
    ("1302", swap_uncut, "cut off below 0"),
    ("1302", swap_cut_late, "cut off for each picture"),
    ("1302", swap_changed, "changed places"),
    ("1302", swap_margin, "makes the task harder"),
    ("1302", swap_roots, "squared distances"),
    ("1302", swap_mse, "don't average them"),
    ("1302", swap_sum, "not a sum"),
    ("1303", goal_signed, "absolute value"),
    ("1303", goal_one_side, "one-sided cut"),
    ("1303", goal_late, "the mean after"),
    ("1303", goal_squared, "not its square"),
    ("1303", goal_mse, "not a squared one"),
    ("1303", goal_sum, "not a sum"),
    ("1303", goal_cosine, "1 - cosine"),
    ("1303", goal_all, "has the shape"),
    ("1304", with_itself, "no evidence"),
    ("1304", with_diagonal, "leave out the diagonal"),
    ("1304", with_both, "both at once"),
    ("1304", every_pair, "not between all pairs"),
    ("1304", strangers_views, "not between all of their views"),
    ("1304", between_first, "within comes first"),
    ("1304", per_person, "not made of numbers"),
    ("1305", old_mask, "you cut it off"),
    ("1305", new_mask, "the old face shows"),
    ("1305", either, "not in either"),
    ("1305", reversed_, "the other way round"),
    ("1305", agreeing, "a face among it"),
    ("1305", no_axis, "raises"),
    ("1305", in_place, "changes what it is given"),
    ("1306", attack_naive, "what happened to the releases?"),
    ("1306", attack_twice, "already"),
    ("1306", attack_wrong_side, "wrong side"),
    ("1306", attack_farthest, "largest cosine"),
    ("1306", attack_any_length, "any length"),
    ("1306", attack_score, "not how near"),
    ("1306", attack_table, "has the shape"),
]

RIGHT = [
    ("1301", by_cosine),
    ("1301", row_by_row),
    ("1302", swap_loop),
    ("1302", swap_by_cosine),
    ("1303", goal_loop),
    ("1303", goal_l1),
    ("1304", consistency_loop),
    ("1304", consistency_pdist),
    ("1305", by_blending),
    ("1305", by_index),
    ("1306", attack_loop),
    ("1306", attack_by_distance),
]
