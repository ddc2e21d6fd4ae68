"""Checks of lesson 6: signals, a flip, a score, Poisson's equation, a loss, a list of people."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from scipy.fft import dctn, idctn
from torch import Tensor

from privhead_nb.lab.attacks import prior_free
from privhead_nb.privacy.operators import Operator
from privhead_nb.teach.checks import Array, Function, Slip, check, numbers_differ
from privhead_nb.teach.lesson06 import multiplicity, scores


def ex0601(yours: Function) -> None:
    """Signals in [0, 1] with given steps, those that differ by a constant once: steps -> count."""

    def spec(steps: Array) -> int:
        return len(multiplicity.signals(steps[steps > 0]))  # a step of 0 is no choice

    def walks(steps: Array) -> Array:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(steps))))
        return np.cumsum(signs * steps, axis=1)

    cases = {
        "three steps that all fit": (np.array([0.2, 0.3, 0.1]),),
        "one step": (np.array([0.4]),),
        "three large steps": (np.array([0.6, 0.5, 0.6]),),
        "a step of the whole range": (np.array([1.0, 0.25]),),
        "ten random steps": (np.random.default_rng(601).uniform(0.1, 0.5, 10),),
        "four equal steps": (np.full(4, 0.3),),
        "two steps of 0": (np.array([0.7, 0.0, 0.6, 0.6, 0.0]),),
    }
    slips: dict[str, Slip] = {
        "a step of 0 goes neither up nor down: both signs give the same signal": lambda s: (
            spec(s) * 2 ** int((s == 0).sum())
        ),
        "these are all choices of signs; some leave the range": lambda steps: 2 ** len(steps),
        "the signal may start anywhere, not only at 0": lambda steps: (
            (np.abs(walks(steps) - 0.5) <= 0.5 + 1e-9).all(axis=1).sum()
        ),
        "it must stay in the range on its way, too, not only at its end": lambda steps: (
            np.abs(walks(steps)[:, -1]) <= 1 + 1e-9
        ).sum(),
    }
    check("ex0601", yours, spec, cases, slips=slips)


def ex0602(yours: Function) -> None:
    """A part mirrored about the level around it: (picture (H, W, 3), inside (H, W)) -> picture."""

    def spec(picture: Array, inside: Array) -> Array:
        return multiplicity.mirrored(torch.tensor(picture), torch.tensor(inside)).numpy()

    def about(twice_the_level: Any, picture: Array, inside: Array) -> Array:
        return np.where(inside[..., None], twice_the_level - picture, picture)

    random = np.random.default_rng(602)
    sea = np.broadcast_to(np.array([0.5, 0.4, 0.3]), (9, 11, 3)).copy()
    first, second, edge = np.zeros((3, 9, 11), dtype=bool)
    first[3:6, 3:7], second[2:5, 8:10], edge[3:6, :2] = True, True, True
    bump = sea.copy()
    bump[first] += random.uniform(0.05, 0.2, (12, 3))
    two = bump.copy()
    two[second] -= random.uniform(0.05, 0.2, (6, 3))
    seas, cut = two.copy(), sea.copy()
    seas[:, :2] = cut[:, :4] = [0.2, 0.6, 0.4]  # a strip of another sea
    cut[edge] -= random.uniform(0.05, 0.15, (6, 3))
    cases = {
        "one part": (bump, first),
        "the second of two parts": (two, second),
        "nothing to mirror but the sea": (sea, first),
        "another sea at the picture's left": (seas, second),
        "a part that the picture's edge cuts": (cut, edge),
    }
    slips: dict[str, Slip] = {
        "the level is that right beside the part; the picture's corner may be in another sea": (
            lambda p, i: about(2 * p[0, 0], p, i)
        ),
        "1 - x is the mirror about 0.5; the sea need not be 0.5": lambda p, i: about(1, p, i),
        "only the part is to be mirrored, all else stays": lambda p, _: 2 * p[0, 0] - p,
        "the mirror about b is 2 b - x: a pixel as far above b as it was below": lambda p, i: about(
            (spec(p, i) + p) / 2, p, i
        ),
    }
    check("ex0602", yours, spec, cases, slips=slips)


def ex0603(yours: Function) -> None:
    """Share explained by the best of c + x and c - x: (guess (H, W), truth (H, W)) -> number."""

    def spec(guess: Array, truth: Array) -> float:
        x, y = torch.tensor(guess), torch.tensor(truth)
        return scores.up_to_constant_and_sign(x, y).explained

    def explained(guess: Array, truth: Array) -> float:
        return float(1 - ((guess - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())

    random = np.random.default_rng(603)
    truth = random.uniform(size=(5, 7))
    cases = {
        "the truth, lighter": (truth + 0.2, truth),
        "its negative": (1 - truth, truth),
        "half its contrast, and a negative": (0.3 - 0.5 * truth, truth),
        "a plain picture": (np.full_like(truth, 0.4), truth),
        "a guess with errors": (1 - truth + 0.1 * random.normal(size=truth.shape), truth),
        "something else": (random.uniform(size=truth.shape), truth),
        "pixels of a region, (n,)": (1 - truth[truth > 0.5], truth[truth > 0.5]),
    }
    slips: dict[str, Slip] = {
        "try the negative, too: the modulus doesn't know the sign": lambda x, y: explained(
            x - x.mean() + y.mean(), y
        ),
        "c is free: move the guess to the truth's mean before you compare": lambda x, y: max(
            explained(x, y), explained(-x, y)
        ),
        "sum the truth's squares around its mean: a grey card gets 0": lambda x, y: (
            1 - (1 - spec(x, y)) * ((y - y.mean()) ** 2).sum() / (y**2).sum()
        ),
        "this is what is left; explained is 1 minus that": lambda x, y: 1 - spec(x, y),
    }
    check("ex0603", yours, spec, cases, slips=slips, rtol=1e-4)


def ex0604(yours: Function) -> None:
    """A picture from signed differences: (right (H, W-1), down (H-1, W)) -> (H, W) of mean 0."""
    random = np.random.default_rng(604)
    picture = random.uniform(size=(6, 9))
    exact = (np.diff(picture, axis=1), np.diff(picture, axis=0))
    cases = {
        "a picture's own differences": exact,
        "2 x 2 pixels": (np.array([[1.0], [1.0]]), np.array([[0.0, 0.0]])),
        "differences that no picture has": tuple(
            g + 0.1 * random.normal(size=g.shape) for g in exact
        ),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "this is the negative: D'g is minus the divergence": lambda *given: -_poisson(*given),
        "a mirrored box's cosines make half a turn along it: pi u / H, not 2 pi u / H":
            ("(np.pi", "(2 * np.pi"),
        "add both directions: the rows' differences pull, too":
            (" - np.diff(down, axis=0, **ends)", ""),
        "that is D'g: the waves are still to be divided by their lambda": (" / waves", ""),
    }  # fmt: skip
    check("ex0604", yours, _poisson, cases, slips=slips)


def _poisson(right: Array, down: Array) -> Array:
    """By the cosines of the mirrored box; the constant's lambda is inf, for the mean is to be 0."""
    ends = {"prepend": 0, "append": 0}
    pulled = -np.diff(right, axis=1, **ends) - np.diff(down, axis=0, **ends)  # D'g
    u, v = (np.pi * np.arange(n) / n for n in pulled.shape)
    waves = 4 - 2 * np.cos(u)[:, None] - 2 * np.cos(v)
    waves[0, 0] = np.inf
    return np.asarray(idctn(dctn(pulled, norm="ortho") / waves, norm="ortho"))


def ex0605(yours: Function) -> None:
    """Eq. 5 with smoothed norms: (pictures (B, H, W, 3), released (H, W), e) -> (B,)."""
    generator = torch.Generator().manual_seed(605)
    pictures = torch.rand(2, 6, 7, 3, generator=generator, dtype=torch.float64)
    pictures[0, :, :4] = 0.5  # flat, where a root without e has no slope
    pictures.requires_grad_()
    released = Operator().modulus(torch.rand(6, 7, 3, generator=generator, dtype=torch.float64))

    def same(got: object, wanted: Tensor) -> list[str] | None:
        wrong = numbers_differ(got, wanted, 1e-5, 1e-7)
        if wrong:
            return wrong
        if not (isinstance(got, Tensor) and got.requires_grad):
            return ["yours raises no gradient: nothing can be descended after .detach() or .item()"]
        mine, theirs = (
            torch.autograd.grad(x.sum(), pictures, retain_graph=True)[0] for x in (got, wanted)
        )
        wrong = numbers_differ(mine, theirs, 1e-4, 1e-7)
        return ["the loss is right; its gradient by one start's pixels:", *wrong] if wrong else None

    cases = {
        "two guesses, e of 0.1": (pictures, released, 0.1),
        "a small e": (pictures, released, 0.002),
        "nothing is released but 0": (pictures, torch.zeros(6, 7).double(), 0.05),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "take e away again, so that a flat pixel has a modulus of 0": (".sqrt() - e", ".sqrt()"),
        "the norm runs over the three channels: add their squares before the root": (
            "(g.square().sum(1) + e**2).sqrt() - e", "((g.square() + e**2).sqrt() - e).sum(1)",
        ),
        "equation 5 is a mean of distances, not of their squares": (".abs()", ".square()"),
        "take |m_e - m| at each pixel, before the mean: signs cancel":
            (".abs().mean((1, 2))", ".mean((1, 2)).abs()"),
    }  # fmt: skip
    check("ex0605", yours, _smoothed_loss, cases, slips=slips, same=same)


def _smoothed_loss(pictures: Tensor, released: Tensor, e: float) -> Tensor:
    g_x, g_y = prior_free.signed_gradients(pictures, Operator())
    m_x, m_y = ((g.square().sum(1) + e**2).sqrt() - e for g in (g_x, g_y))
    return (m_x + m_y - released).abs().mean((1, 2))


def list_length(similarity: Array, own: Array, share: float) -> int:
    """How many people an attacker must keep, so that the right one is among them.

    Args:
        similarity: (N, P) of N probes and P known people.
        own: (N,) the column of each probe's person.
        share: of the probes for which the right one has to be among them.

    Returns:
        The smallest k such that for `share` of the probes at most k people, the right one among
        them, are as similar as the right one or more.
    """
    mine = similarity[np.arange(len(own)), own][:, None]
    ranks = np.sort((similarity >= mine).sum(axis=1))
    return int(ranks[int(np.ceil(share * len(ranks) - 1e-9)) - 1])


def ex0606(yours: Function) -> None:
    """How many people to keep: (similarity (N, P), own (N,), share) -> a whole number."""
    random = np.random.default_rng(606)
    table = random.normal(size=(40, 12))
    own = random.integers(0, 12, 40)
    table[np.arange(40), own] += 1.0
    # ranks 1 to 5 of the first person
    steps = np.array([[5, 4, 3, 2, 1], [4, 5, 3, 2, 1], [3, 4, 5, 2, 1], [2, 3, 4, 5, 1],
                      [1, 2, 3, 4, 5]], dtype=float)  # fmt: skip
    first = np.zeros(5, dtype=int)
    cases = {
        "one probe, the right one second": (np.array([[0.9, 0.2, 0.5]]), np.array([2]), 1.0),
        "five probes of rank 1 to 5, half of them": (steps, first, 0.5),
        "four probes of rank 1, 2, 5 and 5, half of them": (
            steps[[0, 1, 4, 4]], first[:4], 0.5),
        "half of 40 probes": (table, own, 0.5),
        "nine of ten": (table, own, 0.9),
        "four people who score the same": (
            np.array([[0.5, 0.5, 0.5, 0.5, 0.1]]), np.array([1]), 1.0),
        "many ties": (np.round(table), own, 0.8),
        "all of them": (table, own, 1.0),
    }  # fmt: skip
    slips: dict[str, Slip] = {
        "the most similar comes first": (">= mine", "<= mine"),
        "half of five is three: a share that falls between two probes needs the next one":
            ("np.ceil(share * len(ranks) - 1e-9)", "max(share * len(ranks) + 1e-9, 1)"),
        "someone who scores the same stands before: count >=, not >":
            (">= mine).sum(axis=1)", "> mine).sum(axis=1) + 1"),
        "the own person counts, too: the first has rank 1": ("- 1])", "- 1]) - 1"),
    }  # fmt: skip
    check("ex0606", yours, list_length, cases, slips=slips)
