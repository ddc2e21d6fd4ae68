"""The one training loop of the lab, and the training of networks that tell people apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    desc: str = "fit",
    progress: bool = False,
    schedule: LRScheduler | None = None,
    before_step: Callable[[], object] | None = None,
    after_step: Callable[[int], object] | None = None,
) -> list[float]:
    """Take `steps` steps down a loss.

    Args:
        optimiser: of the parts that learn.
        loss: of a step, counted from 0: a new batch each time. A vector's sum is taken.
        steps: how many.
        desc, progress: what the bar is called, and whether it is shown.
        schedule: of the rate; by default it rises to the optimiser's own and falls once.
        before_step: called when gradients are there, say to cut them.
        after_step: called with the step's number when it is taken.

    Returns:
        The loss of every 20th step.
    """
    if schedule is None:
        rate = optimiser.param_groups[0]["lr"]
        schedule = OneCycleLR(optimiser, rate, total_steps=steps + 1)
    losses = []
    with torch.enable_grad(), tqdm(total=steps, desc=desc, disable=not progress) as bar:
        for step in range(steps):
            value = loss(step).sum()
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            if before_step is not None:
                before_step()
            optimiser.step()
            schedule.step()
            if after_step is not None:
                after_step(step)
            bar.update()
            if step % 20 == 0:
                losses.append(value.item())
                bar.set_postfix(loss=f"{losses[-1]:.3f}")
    return losses


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
