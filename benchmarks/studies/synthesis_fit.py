"""Analysis by synthesis: find the head code whose pictures, protected, match a whole release.

The attacker of the tier "oracle" owns the generator of heads, the upper bound of what a prior can
know, and a release: moduli, cameras, centre. He never sees the target's colours. Three steps:

1. A bank: heads of other people, rendered with the release's rig and protected, once for all
   targets. Ridge regression from moduli to codes gives a first guess.
2. The same regression, on what the guess does not yet explain, improves it: the supervised descent
   of Xiong and De la Torre (CVPR 2013, eq. 6), here with one matrix for all steps.
3. Gauss-Newton with Levenberg's damping and the codes' own spread as prior, on robust residuals,
   from coarse pictures to fine. The Jacobian is made of differences of renders (see
   `synthesis_render.py`), so silhouettes count too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.studies.synthesis_bank import Bank, See, moved, pooled
from benchmarks.studies.synthesis_render import Carried, carried, carry, colours, render, splat
from privhead_nb.errors import LabError
from privhead_nb.heads.head import Head
from privhead_nb.lab.attacks import Card
from privhead_nb.scenes.camera import Cameras


@dataclass(frozen=True)
class Fit:
    """How a code is sought.

    Args:
        levels: side of the squares of pixels that are averaged before comparing, one entry for a
            Gauss-Newton step; empty stops after step 2.
        views: how many views a Jacobian uses, dealt out over the steps; all judge a step.
        step: of the differences, in units of a code; a quarter of it for what moves no surface.
        spacing: of the mesh, mm.
        regressions: most steps of supervised descent.
        restarts: starts that are improved: the regression's, then the bank's best.
        prior: weight of the codes' own spread against the pictures, whose pixels are far from
            independent.
        seed: of everything random.
    """

    levels: tuple[int, ...] = (4, 2, 1, 1, 1)
    views: int = 10
    step: float = 0.2
    spacing: float = 6.0
    regressions: int = 4
    restarts: int = 1
    prior: float = 10.0
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Found:
    """A guessed head.

    Attributes:
        head: the guess.
        code: (K,) its unknown entries.
        misfit: mean square of what it leaves unexplained of the release.
        history: misfits of the steps taken, the start first.
        explained: share of what is seen (squares around its mean) that the guess explains.
        card: what it took.
    """

    head: Head
    code: Tensor
    misfit: float
    history: tuple[float, ...]
    explained: float
    card: Card


def fit(
    target: Tensor,
    rig: Cameras,
    center: Sequence[float],
    see: See,
    bank: Bank,
    how: Fit | None = None,
    *,
    start: Tensor | None = None,
) -> Found:
    """The head code that explains what is seen of a release.

    Args:
        target: (V, H, W, C) what the release shows; for moduli C = 1.
        rig: its V cameras around the origin.
        center: the release's centre, mm.
        see: what makes `target` of pictures.
        bank: made with the same rig and `see`.
        how: settings.
        start: (K,) a code to start from, instead of the bank's.

    Raises:
        LabError: a target that doesn't fit the rig or the bank.
    """
    how = Fit() if how is None else how
    if target.shape[:3] != (len(rig), rig.height, rig.width) or not torch.isfinite(target).all():
        raise LabError(
            f"the target is {tuple(target.shape)}, finite: {bool(torch.isfinite(target).all())}; "
            f"the rig has {len(rig)} views of {rig.height} x {rig.width}",
            where="synthesis",
            remedy="Give (V, H, W, C), one picture a camera.",
        )
    same = rig.c2w.shape == bank.rig.c2w.shape and torch.allclose(
        rig.c2w, bank.rig.c2w, atol=0.5, rtol=0
    )
    if not same or pooled(target).numel() != bank.seen.shape[1]:
        raise LabError(
            "the bank was made with another rig, size or number of channels",
            where="synthesis",
            remedy="Make a bank with this release's cameras.",
        )
    search = _Search(target, moved(rig, center), see, bank, how)
    wanted = pooled(target).flatten()
    if start is not None:
        starts = [start]
    else:
        near = (bank.seen - wanted).square().sum(1).argsort()
        starts = [bank.codes.clamped(bank.first(wanted))]
        starts += [bank.values[int(i)] for i in near[: how.restarts - 1]]
    best = min((search.run(code) for code in starts), key=lambda r: r[1][-1])
    code, history = best
    around = (target - target.mean()).square().mean().clamp_min(1e-12)
    return Found(
        head=bank.codes.head(code),
        code=code,
        misfit=history[-1],
        history=tuple(history),
        explained=float(1 - history[-1] / around),
        card=Card(
            attack="analysis by synthesis (oracle)",
            knowledge="the head generator, the operator, cameras and centre"
            + "".join(f", {n}" for n in ("expression", "light") if n not in bank.codes.unknown),
            data=f"{len(bank.values)} made heads of other people",
            cost=f"{search.renders} renders of {len(rig)} views",
            seed=how.seed,
        ),
    )


class _Search:
    """One target, and how many times a head was rendered for it."""

    def __init__(self, target: Tensor, cameras: Cameras, see: See, bank: Bank, how: Fit) -> None:
        self.target, self.cameras, self.see, self.bank, self.how = target, cameras, see, bank, how
        self.codes, self.renders = bank.codes, 0

    @torch.no_grad()
    def run(self, start: Tensor) -> tuple[Tensor, list[float]]:
        """Supervised descent, then Gauss-Newton, from one code."""
        code, seen = start, self.seen(self.mesh(start), start)
        history = [self.misfit(seen)]
        for _ in range(self.how.regressions):
            off = pooled(self.target - seen).flatten()
            tried = self.codes.clamped(code + self.bank.regress(off))
            again = self.seen(self.mesh(tried), tried)
            if self.misfit(again) >= 0.995 * history[-1]:
                break
            code, seen = tried, again
            history.append(self.misfit(seen))
        for number, level in enumerate(self.how.levels):
            code, misfit = self.newton(code, level, number)
            history.append(misfit)
        return code, history

    def newton(self, code: Tensor, level: int, number: int) -> tuple[Tensor, float]:
        """One damped step, the best of a few dampings; the code stays if none helps."""
        mesh = self.mesh(code)
        seen = self.seen(mesh, code)
        groups = max(1, len(self.cameras) // self.how.views)
        views = list(range(number % groups, len(self.cameras), groups))
        jacobian = self.jacobian(mesh, code, views, level)
        off = pooled(self.target - seen, level)[views].flatten()
        spread = 1.5 * off.abs().mean() + 1e-9
        robust = 1 / (1 + (off / (3 * spread)).square()).square()  # Geman and McClure 1987
        noise = float((robust * off.square()).sum() / robust.sum()) + 1e-9
        normal = (jacobian * robust[:, None]).T @ jacobian / noise
        right = (jacobian * robust[:, None]).T @ off / noise
        prior = self.how.prior / self.codes.spread.square()
        right = right - prior * (code - self.codes.mean)
        best, least = code, self.misfit(seen)
        for damping in (0.0, 10.0, 100.0, 1000.0):
            held = prior + damping / self.codes.spread.square()
            step = torch.linalg.solve(normal + torch.diag(held), right)
            tried = self.codes.clamped(code + step)
            misfit = self.misfit(self.seen(carry(mesh, self.codes.head(tried)), tried))
            if misfit < least:
                best, least = tried, misfit
        return best, least

    def jacobian(self, mesh: Carried, code: Tensor, views: list[int], level: int) -> Tensor:
        """(D, K) differences of what is seen, entry by entry of the code."""
        cameras = self.cameras[views]
        here = carry(mesh, self.codes.head(code))
        frame = splat(here, cameras)

        def shown(one: Carried, head: Head, fresh: bool) -> Tensor:
            self.renders += 1
            frames = splat(one, cameras) if fresh else frame
            return pooled(self.see(frames.pictures(colours(one, head, cameras))), level).flatten()

        base = shown(here, self.codes.head(code), False)
        columns = []
        for k in range(len(code)):
            other = code.clone()
            shape = self.codes.is_shape(k)
            by = self.how.step * (1.0 if shape else 0.25) * float(self.codes.spread[k]) * 3**0.5
            other[k] += -by if float(code[k]) > 0 else by
            head = self.codes.head(other)
            one = carry(mesh, head) if shape else here
            columns.append((shown(one, head, shape) - base) / (other[k] - code[k]))
        return torch.stack(columns, dim=1)

    def mesh(self, code: Tensor) -> Carried:
        return carried(self.codes.head(code), self.how.spacing)

    def seen(self, mesh: Carried, code: Tensor) -> Tensor:
        self.renders += 1
        return self.see(render(mesh, self.codes.head(code), self.cameras))

    def misfit(self, seen: Tensor) -> float:
        return float((seen - self.target).square().mean())
