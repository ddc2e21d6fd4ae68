"""The descent that the lab's networks share: a rate that rises and falls once, and a bar."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from tqdm import tqdm


def descend(
    optimiser: torch.optim.Optimizer,
    loss: Callable[[int], Tensor],
    steps: int,
    *,
    desc: str,
    progress: bool = False,
) -> None:
    """Take `steps` steps down a loss; the optimiser's own rate is the highest.

    Args:
        optimiser: of the parts that learn.
        loss: of a step, counted from 0: a new batch each time.
        steps: how many.
        desc: what the bar is called.
        progress: show it.
    """
    rate = optimiser.param_groups[0]["lr"]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps + 1)
    with torch.enable_grad(), tqdm(total=steps, desc=desc, disable=not progress) as bar:
        for step in range(steps):
            value = loss(step)
            optimiser.zero_grad(set_to_none=True)
            value.backward()
            optimiser.step()
            schedule.step()
            bar.update()
            if step % 20 == 0:
                bar.set_postfix(loss=f"{value.item():.3f}")
