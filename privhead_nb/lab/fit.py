"""The one training loop of the lab, and the training of networks that tell people apart."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR
from tqdm import tqdm

from privhead_nb.lab.recognisers.network import ArcFace, FaceNetwork


def fit(
    optimiser: torch.optim.Optimizer,
    loss: Callable[[int], Tensor],
    steps: int,
    *,
    start: int = 0,
    desc: str = "fit",
    progress: bool = False,
    schedule: LRScheduler | None = None,
    after_step: Callable[[int], Mapping[str, float | Tensor] | None] | None = None,
) -> list[float]:
    """Take the steps from `start` to `steps` down a loss.

    Args:
        optimiser: of the parts that learn.
        loss: of a step, counted from 0: a new batch each time. A vector's sum is taken.
        steps: how many, those before `start` among them.
        start: the first to be taken, for a training that goes on where it stopped.
        desc, progress: what the bar is called, and whether it is shown.
        schedule: of the rate, `start` steps on; by default that of `one_cycle`.
        after_step: called with the step's number when it is taken; gives what the bar shows beside
            the loss.

    Returns:
        The loss of every 20th step.
    """
    schedule = one_cycle(optimiser, steps, start) if schedule is None else schedule
    losses = []
    bar = tqdm(total=steps, initial=start, desc=desc, disable=not progress)
    with torch.enable_grad(), bar:
        for step in range(start, steps):
            value = loss(step).sum()
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            optimiser.step()
            schedule.step()
            beside = after_step(step) if after_step is not None else None
            bar.update()
            if step % 20 == 0:
                losses.append(value.item())
                shown = {"loss": losses[-1], **(beside or {})}
                bar.set_postfix({name: f"{float(number):.3g}" for name, number in shown.items()})
    return losses


def one_cycle(
    optimiser: torch.optim.Optimizer, steps: int, start: int = 0, *, momentum: bool = True
) -> OneCycleLR:
    """A rate that rises to the optimiser's own and falls once (Smith and Topin 2019).

    Args:
        optimiser: new, or with the moments of `start` steps.
        steps: of the whole training.
        start: how many of these were taken before.
        momentum: Adam's first beta falls and rises against the rate.
    """
    rate = optimiser.param_groups[0]["lr"]
    schedule = OneCycleLR(optimiser, rate, total_steps=steps + 1, cycle_momentum=momentum)
    with warnings.catch_warnings():  # torch warns of a rate that moves before the optimiser did
        warnings.filterwarnings("ignore", message="Detected call of", category=UserWarning)
        for _ in range(start):
            schedule.step()
    return schedule


def fit_identities(
    stems: Sequence[FaceNetwork],
    centres: ArcFace,
    batch: Callable[[], tuple[Sequence[Tensor], Sequence[Tensor]]],
    steps: int,
    *,
    rate: float,
    margin: float = 0.3,
    tie: float = 0.0,
    desc: str,
    progress: bool = False,
) -> None:
    """Teach networks to tell people apart, all by ArcFace around one set of centres.

    Args:
        stems, centres: networks that learn, left in `eval`, and a centre for each person.
        batch: each call gives new inputs, one tensor a stem, and whom each shows, (N,) a stem.
        steps, rate: of AdamW, and its highest learning rate.
        margin: of ArcFace, radians, at the end; it grows from 0 over the first half.
        tie: weight of the angle between the first two stems' vectors of one batch.
        desc, progress: as in `fit`.
    """
    modules = [*stems, centres]
    for module in modules:
        module.train()
    parts = [p for module in modules for p in module.parameters()]
    adam = torch.optim.AdamW(parts, lr=rate, weight_decay=5e-2)

    def loss(step: int) -> Tensor:
        inputs, people = batch()
        centres.margin = margin * min(1.0, 2 * step / steps)
        found = [stem(x) for stem, x in zip(stems, inputs, strict=True)]
        off = torch.stack([centres(v, who) for v, who in zip(found, people, strict=True)]).sum()
        if tie > 0:
            off = off + tie * (1 - F.cosine_similarity(*found)).mean()
        return off

    fit(adam, loss, steps, desc=desc, progress=progress)
    for module in modules:
        module.eval()
