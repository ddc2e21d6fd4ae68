"""Checks of lesson 13: distances of directions, eq. 8 and 9, consistency, a mask, the attack."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from privhead_nb.deid.aware3d import losses
from privhead_nb.teach.checks import Function, Slip, check


def ex1301(yours: Function) -> None:
    """Distances of directions: a, b (N, D) of any length -> (N,)."""

    def spec(a: Tensor, b: Tensor) -> Tensor:
        return (F.normalize(a, dim=1) - F.normalize(b, dim=1)).norm(dim=1)

    def by_columns(a: Tensor, b: Tensor) -> Tensor:
        return (F.normalize(a, dim=0) - F.normalize(b, dim=0)).norm(dim=1)

    a, b = torch.randn(2, 5, 8, generator=_drawn(1301)).double()
    lengths = torch.tensor([0.2, 1.0, 3.0, 7.0, 0.5]).double()[:, None]
    cases = {
        "right angles, and opposite": (
            torch.tensor([[2.0, 0.0], [3.0, 0.0]]).double(),
            torch.tensor([[0.0, 5.0], [-1.0, 0.0]]).double(),
        ),
        "lengths of all kinds": (lengths * a, b),
        "the same direction, another length": (a, lengths * a),
    }
    slips: dict[str, Slip] = {
        "bring each vector to length one first": lambda a, b: (a - b).norm(dim=1),
        "that is the distance squared: take its root": lambda a, b: spec(a, b) ** 2,
        "that is half of the squared distance (1 - cosine)": lambda a, b: (
            1 - F.cosine_similarity(a, b)
        ),
        "each row has its own length: dim=1": by_columns,
    }
    check("ex1301", yours, spec, cases, slips=slips, atol=1e-5)


def ex1302(yours: Function) -> None:
    """L_con (eq. 8): z_i, z_j, z_made (N, D), margin -> number."""

    def parts(own: Tensor, other: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
        return (made - own).square().sum(1), (made - other).square().sum(1)

    def of(form: Function) -> Function:
        """A loss of (near, far, margin), where near and far are squared distances (N,)."""
        return lambda own, other, made, margin: form(*parts(own, other, made), margin)

    def hinge(near: Tensor, far: Tensor, margin: float) -> Tensor:
        return F.relu(near + margin - far).mean()

    own, other, third = F.normalize(torch.randn(3, 6, 16, generator=_drawn(1302)).double(), dim=2)
    steps = torch.linspace(0.2, 1.8, 6)[:, None] * other
    cases = {
        "one of six is the other person": (own, other, torch.cat([other[:1], own[1:]]), 0.5),
        "between both people": (own, other, F.normalize(own + steps, dim=1), 0.5),
        "near to its own: nothing to learn": (own, other, own, 0.5),
        "near to the other": (own, other, other, 0.5),
        "anywhere, a wide margin": (own, other, third, 1.5),
    }
    slips: dict[str, Slip] = {
        "where the inequality holds there is no loss: cut off below 0": of(
            lambda near, far, m: (near + m - far).mean()
        ),
        "cut off for each picture, then average: a good one must not pay for a bad one": of(
            lambda near, far, m: F.relu((near + m - far).mean())
        ),
        "near and far have changed places: it should go to its own person": of(
            lambda near, far, m: hinge(far, near, m)
        ),
        "eq. 8 compares squared distances": of(
            lambda near, far, m: hinge(near.sqrt(), far.sqrt(), m)
        ),
    }
    check("ex1302", yours, losses.contrastive_loss, cases, slips=slips)


def ex1303(yours: Function) -> None:
    """L_de-id (eq. 9): source, made (N, D) of unit length, tau (N,) -> number."""

    def of(form: Function) -> Function:
        """A loss of (distances (N,), tau (N,))."""
        return lambda a, b, tau: form((a - b).norm(dim=1), tau)

    a, b = F.normalize(torch.randn(2, 6, 16, generator=_drawn(1303)).double(), dim=2)
    near = F.normalize(a + 0.2 * b, dim=1)
    mixed = torch.tensor([0.1, 1.9, 0.5, 1.8, 1.0, 2.0]).double()
    cases = {
        "too near": (a, near, torch.full((6,), 1.5).double()),
        "too far": (a, b, torch.full((6,), 0.5).double()),
        "a tau for each, some too near and some too far": (a, b, mixed),
    }
    slips: dict[str, Slip] = {
        "too far is off the goal, too: take the absolute value": of(
            lambda d, tau: (tau - d).mean()
        ),
        "a picture that is too far must come nearer: eq. 9 has no one-sided cut": of(
            lambda d, tau: F.relu(tau - d).mean()
        ),
        "each picture has its own goal: absolute values first, the mean after": of(
            lambda d, tau: (tau - d).mean().abs()
        ),
        "an absolute difference, not a squared one": of(lambda d, tau: ((tau - d) ** 2).mean()),
    }
    check("ex1303", yours, of(lambda d, tau: (tau - d).abs().mean()), cases, slips=slips, rtol=1e-4)


def ex1304(yours: Function) -> None:
    """Consistency: unit vectors (P, V, D), view 0 frontal -> (within, between)."""

    def all_pairs(vectors: Tensor) -> tuple[Tensor, Tensor]:
        apart = (vectors[:, :, None] - vectors[:, None]).norm(dim=3)
        others = ~torch.eye(vectors.shape[1], dtype=torch.bool)
        return apart[:, others].mean(), _consistency(vectors)[1]

    people = torch.randn(5, 1, 16, generator=_drawn(1304)).double()
    views = torch.randn(5, 4, 16, generator=_drawn(1305)).double()
    cases = {
        "five people in four views": (F.normalize(people + 0.3 * views, dim=2),),
        "two people in two views": (F.normalize(people + 0.8 * views, dim=2)[:2, :2],),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "the first view's distance to itself is 0, and no evidence": ("vectors[:, 1:]", "vectors"),
        "nobody is a stranger to themselves: leave out the diagonal": ("[others]", ""),
        "from each other view to the first one, not between all pairs": all_pairs,
        "within comes first": lambda v: _consistency(v)[::-1],
    }  # fmt: skip
    check("ex1304", yours, _consistency, cases, slips=slips)


def _consistency(vectors: Tensor) -> tuple[Tensor, Tensor]:
    front = vectors[:, 0]
    within = (vectors[:, 1:] - front[:, None]).norm(dim=2).mean()
    others = ~torch.eye(len(front), dtype=torch.bool)
    return within, (front[:, None] - front).norm(dim=2)[others].mean()


def ex1305(yours: Function) -> None:
    """Background kept: picture, made (N, H, W, 3), labels before, after (N, H, W) -> pictures."""
    picture, made = torch.rand(2, 2, 6, 5, 3, generator=_drawn(1306)).double()
    before, after = torch.randint(0, 3, (2, 2, 6, 5), generator=_drawn(1307))
    cases = {
        "labels of all kinds": (picture, made, before, after),
        "heads that fill the picture": (picture, made, before + 1, after + 1),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "where the new head is larger, you cut it off: ask its labels, too":
            (" & (after == 0)", ""),
        "where the new head is smaller, the old face shows: ask its labels, too":
            ("(before == 0) & ", ""),
        "background in both, not in either": (" & ", " | "),
        "that keeps where labels agree, a face among it; only background (0) is kept":
            ("(before == 0) & (after == 0)", "before == after"),
    }  # fmt: skip
    check("ex1305", yours, _with_background, cases, slips=slips)


def _with_background(picture: Tensor, made: Tensor, before: Tensor, after: Tensor) -> Tensor:
    kept = (before == 0) & (after == 0)
    return torch.where(kept[..., None], picture, made)


def ex1306(yours: Function) -> None:
    """The attack: released, gallery pictures, deidentify, embed -> (N,) rows of the gallery."""
    slips: dict[str, Slip] = {
        "that gallery shows people as they are: what happened to the releases?":
            ("deidentify(gallery)", "gallery"),
        "the releases have been de-identified already":
            ("embed(released)", "embed(deidentify(released))"),
        "the nearest has the largest cosine": (".argmax(1)", ".argmin(1)"),
        "who it is, not how near: a row of the gallery": (".argmax(1)", ".amax(1)"),
    }  # fmt: skip
    check("ex1306", yours, _named, {"a toy map": toy(0), "another": toy(1)}, slips=slips)


def toy(seed: int) -> tuple[Any, ...]:
    """Eight people: released pictures, a gallery, a deterministic map, and a recogniser."""
    random = _drawn(1308 + seed)
    people = torch.randn(8, 6, 6, 3, generator=random).double()
    turn = torch.linalg.qr(torch.randn(108, 108, generator=random).double())[0]
    stretch = 0.2 + 3 * torch.rand(8, 1, generator=random).double()

    def deidentify(x: Tensor) -> Tensor:
        return (x.flatten(1) @ turn).reshape(x.shape)

    def embed(x: Tensor) -> Tensor:
        return x.flatten(1)[:, :40]

    who = torch.tensor([3, 0, 7, 1, 5, 2, 6, 4, 3, 5])
    noise = 0.2 * torch.randn(10, 6, 6, 3, generator=random).double()
    gallery = people * stretch[:, :, None, None]
    return deidentify(people[who] + noise), gallery, deidentify, embed


def _drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _named(released: Tensor, gallery: Tensor, deidentify: Function, embed: Function) -> Tensor:
    a, b = embed(released), embed(deidentify(gallery))
    return (F.normalize(a, dim=1) @ F.normalize(b, dim=1).T).argmax(1)
