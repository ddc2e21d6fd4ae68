"""Checks of lesson 6: signals, a flip, a score, Poisson's equation, a loss, a list of people."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from scipy.fft import dctn, idctn
from torch import Tensor

from privhead_nb.lab.attacks import prior_free
from privhead_nb.privacy.operators import Operator
from privhead_nb.teach.checks import Array, Function, check, numbers_differ
from privhead_nb.teach.lesson06 import multiplicity, scores

HINTS = {
    # exercise: a question, and the idea
    "0601": (
        "If a walk may start anywhere, what about it decides whether some start keeps all of it "
        "between 0 and 1?",
        "add the signed steps up from 0, the start included; shifting moves the highest and the "
        "lowest point together, so only their distance counts",
    ),
    "0602": (
        "Which pixels do you know to have the sea's colour, whatever else is in the picture?",
        "grow the mask by one pixel: what is new lies right beside the part, and has the level "
        "about which to mirror; leave all else alone",
    ),
    "0603": (
        "For one sign, which constant makes the squared difference smallest?",
        "the best constant puts the mean of the guess on the mean of the truth; do that for the "
        "guess and for its negative, and keep the smaller rest",
    ),
    "0604": (
        "A difference says how far one pixel is above another: which two pixels does it pull, and "
        "which way?",
        "each difference adds itself to the pixel after it and takes itself from the one before; "
        "in the DCT each wave then has its own number to be divided by, and the constant has none",
    ),
    "0605": (
        "Over which numbers does the norm of equation 6 run, and which of them are only added?",
        "at each pixel, three channels make one length across and one down; smooth either length "
        "by itself, so that it is 0 where the gradient is, and add them before you compare",
    ),
    "0606": (
        "In a row of probes sorted by rank, where do you stop if you need half of five?",
        "count, for each probe, the people who score at least as high as its own; then try lists "
        "of one, two, three people until they hold the share that is asked for",
    ),
}


def ex0601(yours: Function) -> None:
    """Signals in [0, 1] with given steps, those that differ by a constant once: steps -> count."""

    def spec(steps: Array) -> int:
        return len(multiplicity.signals(steps[steps > 0]))  # a step of 0 is no choice

    def walks(steps: Array) -> Array:
        signs = np.array(list(itertools.product((1.0, -1.0), repeat=len(steps))))
        return np.cumsum(signs * steps, axis=1)

    def from_zero(steps: Array) -> int:
        return int((np.abs(walks(steps) - 0.5) <= 0.5 + 1e-9).all(axis=1).sum())

    check(
        "ex0601",
        yours,
        spec,
        {
            "three steps that all fit": (np.array([0.2, 0.3, 0.1]),),
            "one step": (np.array([0.4]),),
            "three large steps": (np.array([0.6, 0.5, 0.6]),),
            "a step of the whole range": (np.array([1.0, 0.25]),),
            "ten random steps": (np.random.default_rng(601).uniform(0.1, 0.5, 10),),
            "four equal steps": (np.full(4, 0.3),),
            "two steps of 0": (np.array([0.7, 0.0, 0.6, 0.6, 0.0]),),
        },
        slips={
            "a step of 0 goes neither up nor down: both signs give the same signal": lambda s: (
                spec(s) * 2 ** int((s == 0).sum())
            ),
            "these are all choices of signs; some leave the range": lambda steps: 2 ** len(steps),
            "the signal may start anywhere, not only at 0": from_zero,
            "it must stay in the range on its way, too, not only at its end": lambda steps: (
                np.abs(walks(steps)[:, -1]) <= 1 + 1e-9
            ).sum(),
            "the signal has one value more than it has steps: don't forget the start": lambda s: (
                np.ptp(walks(s), axis=1) <= 1 + 1e-9
            ).sum(),
            "a signal that just reaches both 0 and 1 fits, too": lambda s: (
                np.ptp(np.pad(walks(s), ((0, 0), (1, 0))), axis=1) < 1 - 1e-9
            ).sum(),
            "a walk and its mirror image are two signals, not one": lambda s: spec(s) // 2,
            "a step of 0 is a step, too: the signal goes on at the same value": lambda s: (
                spec(s) * int((s > 0).all())
            ),
        },
    )


def ex0602(yours: Function) -> None:
    """A part mirrored about the level around it: (picture (H, W, 3), inside (H, W)) -> picture."""

    def spec(picture: Array, inside: Array) -> Array:
        return multiplicity.mirrored(torch.tensor(picture), torch.tensor(inside)).numpy()

    def about(twice_the_level: Array, picture: Array, inside: Array) -> Array:
        return np.where(inside[..., None], twice_the_level - picture, picture)

    def of_mean(picture: Array, inside: Array) -> Array:
        return about(2 * picture[inside].mean(0), picture, inside)

    def beside(inside: Array, *, around: bool = False) -> Array:
        """Pixels that touch the part from outside; `around`, as if the picture were a torus."""
        grown = inside.copy()
        for axis, step in itertools.product((0, 1), (1, -1)):
            moved = np.roll(inside, step, axis)
            if not around:
                np.moveaxis(moved, axis, 0)[0 if step > 0 else -1] = False
            grown |= moved
        return np.asarray(grown & ~inside)

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
    check(
        "ex0602",
        yours,
        spec,
        {
            "one part": (bump, first),
            "the second of two parts": (two, second),
            "nothing to mirror but the sea": (sea, first),
            "another sea at the picture's left": (seas, second),
            "a part that the picture's edge cuts": (cut, edge),
        },
        slips={
            "mirror about the level around the part, not about the mean inside of it": of_mean,
            "the level is that right beside the part; the picture's corner may be in another sea": (
                lambda p, i: about(2 * p[0, 0], p, i)
            ),
            "only the rim of the part is known to be even, not all that is outside": lambda p, i: (
                about(2 * p[~i].mean(0), p, i)
            ),
            "1 - x is the mirror about 0.5; the sea need not be 0.5": lambda p, i: (
                about(np.ones(3), p, i)
            ),
            "only the part is to be mirrored, all else stays": lambda p, i: (
                about(2 * p[0, 0], p, np.ones_like(i))
            ),
            "-x is the mirror about 0; the sea is not 0": lambda p, i: about(np.zeros(3), p, i),
            "the mirror about b is 2 b - x: a pixel as far above b as it was below": lambda p, i: (
                about(p[beside(i)][0], p, i)
            ),
            "the level is the sea's, right beside the part; yours is the part's own rim": (
                lambda p, i: about(2 * p[i & beside(~i)].mean(0), p, i)
            ),
            "np.roll goes round the picture's edge, to pixels that don't touch the part": (
                lambda p, i: about(2 * p[beside(i, around=True)].mean(0), p, i)
            ),
            "each channel has a level of its own": lambda p, i: (
                about(2 * p[beside(i)].mean() * np.ones(3), p, i)
            ),
        },
    )  # fmt: skip


def ex0603(yours: Function) -> None:
    """Share explained by the best of c + x and c - x: (guess (H, W), truth (H, W)) -> number."""

    def spec(guess: Array, truth: Array) -> float:
        x, y = torch.tensor(guess), torch.tensor(truth)
        return scores.up_to_constant_and_sign(x, y).explained

    def left_over(guess: Array, truth: Array) -> float:
        return float(1 - ((guess - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())

    def correlation(guess: Array, truth: Array) -> float:
        x, y = guess - guess.mean(), truth - truth.mean()
        return float((x * y).sum() ** 2 / max((x * x).sum() * (y * y).sum(), 1e-12))

    def both(guess: Array, truth: Array) -> float:
        x, y = guess - guess.mean(), truth - truth.mean()
        return float(((x + y) ** 2).sum() + ((x - y) ** 2).sum() - rest(guess, truth))

    def rest(guess: Array, truth: Array) -> float:
        x, y = guess - guess.mean(), truth - truth.mean()
        return float(min(((x - y) ** 2).sum(), ((x + y) ** 2).sum()))

    random = np.random.default_rng(603)
    truth = random.uniform(size=(5, 7))
    check(
        "ex0603",
        yours,
        spec,
        {
            "the truth, lighter": (truth + 0.2, truth),
            "its negative": (1 - truth, truth),
            "half its contrast, and a negative": (0.3 - 0.5 * truth, truth),
            "a plain picture": (np.full_like(truth, 0.4), truth),
            "a guess with errors": (1 - truth + 0.1 * random.normal(size=truth.shape), truth),
            "something else": (random.uniform(size=truth.shape), truth),
            "pixels of a region, (n,)": (1 - truth[truth > 0.5], truth[truth > 0.5]),
        },
        slips={
            "try the negative, too: the modulus doesn't know the sign": lambda x, y: left_over(
                x - x.mean() + y.mean(), y
            ),
            "c is free: move the guess to the truth's mean before you compare": lambda x, y: max(
                left_over(x, y), left_over(-x, y)
            ),
            "a correlation also forgives a wrong contrast, and the modulus fixes it": correlation,
            "sum the truth's squares around its mean: a grey card gets 0": lambda x, y: (
                1 - rest(x, y) / (y**2).sum()
            ),
            "this is what is left; explained is 1 minus that": lambda x, y: (
                rest(x, y) / ((y - y.mean()) ** 2).sum()
            ),
            "a root of a share is no share: compare sums of squares": lambda x, y: (
                1 - np.sqrt(rest(x, y) / ((y - y.mean()) ** 2).sum())
            ),
            "take the smaller rest of both signs": lambda x, y: (
                1 - both(x, y) / ((y - y.mean()) ** 2).sum()
            ),
        },
        rtol=1e-4,
    )


def _waves(right: Array, down: Array, turns: float = 1.0) -> Array:
    """lambda(u, v) of the mirrored box's Laplacian, with inf for the constant, whose mean is 0."""
    u, v = (turns * np.pi * np.arange(n) / n for n in (len(right), down.shape[1]))
    bottom = 4 - 2 * np.cos(u)[:, None] - 2 * np.cos(v)
    bottom[0, 0] = np.inf
    return np.asarray(bottom)


def _spectrum(right: Array, down: Array) -> Array:
    ends = {"prepend": 0, "append": 0}
    pulled = -np.diff(right, axis=1, **ends) - np.diff(down, axis=0, **ends)  # D'g
    return np.asarray(dctn(pulled, norm="ortho"))


def ex0604(yours: Function) -> None:
    """A picture from signed differences: (right (H, W-1), down (H-1, W)) -> (H, W) of mean 0."""

    def spec(right: Array, down: Array) -> Array:
        return np.asarray(idctn(_spectrum(right, down) / _waves(right, down), norm="ortho"))

    def summed(right: Array, down: Array) -> Array:
        start = np.cumsum(np.pad(down[:, :1], ((1, 0), (0, 0))), axis=0)
        rows = start + np.cumsum(np.pad(right, ((0, 0), (1, 0))), axis=1)
        return np.asarray(rows - rows.mean())

    def around(right: Array, down: Array) -> Array:
        """Fourier's borders, where the picture goes round."""
        x, y = np.pad(right, ((0, 0), (0, 1))), np.pad(down, ((0, 1), (0, 0)))
        pulled = np.roll(x, 1, 1) - x + np.roll(y, 1, 0) - y
        u, v = (2 - 2 * np.cos(2 * np.pi * np.arange(n) / n) for n in pulled.shape)
        bottom = u[:, None] + v
        bottom[0, 0] = np.inf
        return np.asarray(np.fft.ifft2(np.fft.fft2(pulled) / bottom).real)

    def twice(right: Array, down: Array) -> Array:
        bottom, spectrum = _waves(right, down, 2.0), _spectrum(right, down)
        return np.asarray(idctn(spectrum / bottom, norm="ortho"))

    def with_waves(right: Array, down: Array, change: Function) -> Array:
        bottom = _waves(right, down)
        return np.asarray(idctn(_spectrum(right, down) / change(bottom), norm="ortho"))

    def exchanged(right: Array, down: Array) -> Array:
        height, width = len(right), down.shape[1]
        u, v = np.arange(height)[:, None], np.arange(width)
        bottom = 4 - 2 * np.cos(np.pi * u / width) - 2 * np.cos(np.pi * v / height)
        bottom[np.abs(bottom) < 1e-9] = np.inf
        return with_waves(right, down, lambda _: bottom)

    def late(right: Array, down: Array) -> Array:
        """D'g of the next pixel's differences."""
        x, y = np.pad(right, ((0, 0), (0, 1))), np.pad(down, ((0, 1), (0, 0)))
        pulled = -np.diff(x, axis=1, append=0) - np.diff(y, axis=0, append=0)
        spectrum = dctn(pulled, norm="ortho") / _waves(right, down)
        return np.asarray(idctn(spectrum, norm="ortho"))

    def other_norm(right: Array, down: Array) -> Array:
        spectrum = dctn(idctn(_spectrum(right, down), norm="ortho"))
        return np.asarray(idctn(spectrum / _waves(right, down), norm="ortho"))

    random = np.random.default_rng(604)
    picture = random.uniform(size=(6, 9))
    exact = (np.diff(picture, axis=1), np.diff(picture, axis=0))
    check(
        "ex0604",
        yours,
        spec,
        {
            "a picture's own differences": exact,
            "2 x 2 pixels": (np.array([[1.0], [1.0]]), np.array([[0.0, 0.0]])),
            "differences that no picture has": tuple(
                g + 0.1 * random.normal(size=g.shape) for g in exact
            ),
        },
        slips={
            "this is the negative: D'g is minus the divergence": lambda r, d: -spec(r, d),
            "a mirrored box's cosines make half a turn along it: pi u / H, not 2 pi u / H": twice,
            "give the transform and its way back the same norm": other_norm,
            "u counts rows, of H, and v columns, of W: yours are divided by the other": exchanged,
            "a difference pulls the pixel after it up and the one before it down; yours are all "
            "moved by a pixel": late,
            "add both directions: the rows' differences pull, too": lambda r, d: spec(r, 0 * d),
            "divide by lambda itself, not by its root": lambda r, d: with_waves(r, d, np.sqrt),
            "that is D'g: the waves are still to be divided by their lambda": lambda r, d: (
                with_waves(r, d, np.ones_like)
            ),
            "this goes round the borders: use the cosines of the DCT, not Fourier's waves": around,
            "the mean is to be 0, not the first pixel": lambda r, d: spec(r, d) - spec(r, d)[0, 0],
            "right where the differences fit together; else every error runs along the row: "
            "find the picture whose differences come nearest": summed,
        },
    )


def ex0605(yours: Function) -> None:
    """Eq. 5 with smoothed norms: (pictures (B, H, W, 3), released (H, W), e) -> (B,)."""
    operator, smoothed = Operator(), prior_free.smoothed_modulus

    def loss(
        pictures: Tensor, released: Tensor, e: float, *, norm: Function | None = None,
        join: Function = torch.add,
    ) -> Tensor:  # fmt: skip
        norm = norm or (lambda g, e: (g.square().sum(1) + e**2).sqrt() - e)
        gx, gy = prior_free.signed_gradients(pictures, operator)
        return (join(norm(gx, e), norm(gy, e)) - released).abs().mean((1, 2))

    def of(norm: Function) -> Function:
        return lambda *given: loss(*given, norm=norm)

    generator = torch.Generator().manual_seed(605)
    pictures = torch.rand(2, 6, 7, 3, generator=generator, dtype=torch.float64)
    pictures[0, :, :4] = 0.5  # flat, where a root without e has no slope
    pictures.requires_grad_()
    released = operator.modulus(torch.rand(6, 7, 3, generator=generator, dtype=torch.float64))

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

    check(
        "ex0605",
        yours,
        loss,
        {
            "two guesses, e of 0.1": (pictures, released, 0.1),
            "a small e": (pictures, released, 0.002),
            "nothing is released but 0": (pictures, torch.zeros(6, 7).double(), 0.05),
        },
        slips={
            "take e away again, so that a flat pixel has a modulus of 0": of(
                lambda g, e: (g.square().sum(1) + e**2).sqrt()
            ),
            "the norm runs over the three channels: add their squares before the root": of(
                lambda g, e: ((g**2 + e**2).sqrt() - e).sum(1)
            ),
            "equation 6 adds two lengths; yours is one length over x and y": lambda *given: (
                loss(*given, norm=lambda g, _: g.square().sum(1),
                     join=lambda x, y: (x + y + given[2] ** 2).sqrt() - given[2])
            ),
            "e is squared under the root": of(lambda g, e: (g.square().sum(1) + e).sqrt() - e),
            "equation 5 is a mean of distances, not of their squares": lambda p, r, e: (
                (smoothed(p, operator, e) - r).square().mean((1, 2))
            ),
            "take |m_e - m| at each pixel, before the mean: signs cancel": lambda p, r, e: (
                (smoothed(p, operator, e) - r).mean((1, 2)).abs()
            ),
            "this is the norm of equation 6 without smoothing": of(
                lambda g, _: (g.square().sum(1) + 1e-24).sqrt()
            ),
            "a mean over the pixels, not their sum": lambda *given: 42 * loss(*given),
        },
        same=same,
    )  # fmt: skip


def list_length(similarity: Array, own: Array, share: float, *, ties: str = "before") -> int:
    """How many people an attacker must keep, so that the right one is among them.

    Args:
        similarity: (N, P) of N probes and P known people.
        own: (N,) the column of each probe's person.
        share: of the probes for which the right one has to be among them.
        ties: whether those who score the same stand "before" it, "behind" it, or by their "place".

    Returns:
        The smallest k such that for `share` of the probes at most k people, the right one among
        them, are as similar as the right one or more.
    """
    ranks = np.sort(_ranks(similarity, own, ties))
    return int(ranks[int(np.ceil(share * len(ranks) - 1e-9)) - 1])


def _ranks(similarity: Array, own: Array, ties: str = "before") -> Array:
    mine = similarity[np.arange(len(own)), own][:, None]
    if ties == "place":
        order = np.argsort(-similarity, axis=1, kind="stable")
        return np.asarray((order == own[:, None]).argmax(axis=1) + 1)
    before = similarity >= mine if ties == "before" else similarity > mine
    return np.asarray(before.sum(axis=1) + (ties == "behind"))


def ex0606(yours: Function) -> None:
    """How many people to keep: (similarity (N, P), own (N,), share) -> a whole number."""

    def at(place: Function) -> Function:
        def found(similarity: Array, own: Array, share: float) -> int:
            ranks = np.sort(_ranks(similarity, own))
            return int(ranks[min(max(int(place(share * len(ranks))), 0), len(ranks) - 1)])

        return found

    def the_rest(similarity: Array, own: Array, share: float) -> int:
        return list_length(similarity, own, max(1 - share, 1e-6))

    random = np.random.default_rng(606)
    table = random.normal(size=(40, 12))
    own = random.integers(0, 12, 40)
    table[np.arange(40), own] += 1.0
    # ranks 1 to 5 of the first person
    steps = np.array([[5, 4, 3, 2, 1], [4, 5, 3, 2, 1], [3, 4, 5, 2, 1], [2, 3, 4, 5, 1],
                      [1, 2, 3, 4, 5]], dtype=float)  # fmt: skip
    first = np.zeros(5, dtype=int)
    check(
        "ex0606",
        yours,
        list_length,
        {
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
        },
        slips={
            "the most similar comes first": lambda t, o, s: list_length(-t, o, s),
            "half of five is three: a share that falls between two probes needs the next one": at(
                lambda x: np.floor(x + 1e-9) - 1
            ),
            "places count from 0: yours takes one probe more than the share needs": at(
                lambda x: np.ceil(x - 1e-9)
            ),
            "someone who scores the same stands before: count >=, not >": lambda t, o, s: (
                list_length(t, o, s, ties="behind")
            ),
            "a sort breaks ties by place; whoever scores the same stands before": lambda t, o, s: (
                list_length(t, o, s, ties="place")
            ),
            "the own person counts, too: the first has rank 1": lambda t, o, s: (
                list_length(t, o, s) - 1
            ),
            "a mean rank is no answer for a share of the probes": lambda t, o, _: _ranks(
                t, o
            ).mean(),
            "a rank counts whoever scores as high, that one included; yours keeps one more": (
                lambda t, o, s: list_length(t, o, s) + 1
            ),
            "people come whole: the smallest k that reaches the share, nothing in between": (
                lambda t, o, s: np.quantile(_ranks(t, o), s)
            ),
            "that is the rank which the share is above of; it is to be below": the_rest,
        },
    )  # fmt: skip
