"""Diffusion posterior sampling: many pictures that could have given one modulus.

A small diffusion model (Ho et al., NeurIPS 2020) learns portraits of the attacker's people. Drawn
from under the guidance of a modulus (DPS, Chung et al., ICLR 2023, algorithm 1), it gives pictures
that are likely portraits and fit the modulus. How far such samples differ, and in what, says what
the modulus leaves open: identity, or only colour.

Pictures are N x 3 x H x H in [-1, 1] inside, N x H x H x 3 in [0, 1] outside.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from privhead_nb.errors import LabError
from privhead_nb.lab.attacks import Card
from privhead_nb.lab.attacks.diffusion_network import Denoiser
from privhead_nb.privacy.operators import Operator


@dataclass(frozen=True)
class Diffusion:
    """How a diffusion model is trained and drawn from.

    Args:
        size: side of its pictures, pixels. The modulus must be of as many.
        width: channels of its first layer.
        times: T, noise levels.
        steps: of training.
        batch: portraits in a step.
        rate: learning rate.
        draws: levels that sampling visits (DDIM's spacing, with DDPM's noise).
        guidance: zeta of DPS in units of 100 / draws: the length of a step along the gradient of
            |m(x0) - m|, so that fewer draws take longer steps.
        samples: for each modulus.
        seed: of everything random.
    """

    size: int = 32
    width: int = 32
    times: int = 1000
    steps: int = 3000
    batch: int = 32
    rate: float = 1e-3
    draws: int = 100
    guidance: float = 1.0
    samples: int = 8
    seed: int = 0


PROFILES = {
    "ci": Diffusion(size=16, width=8, steps=60, batch=16, draws=20, samples=2),
    "cpu": Diffusion(width=24, steps=1500, batch=16, draws=60, samples=4),
    "gpu": Diffusion(size=64, width=96, steps=60_000, batch=128, rate=2e-4, draws=500, samples=16),
}
"""ci: seconds; cpu: minutes on one core; gpu: the sizes of a real study, on a GPU."""


def profile(name: str) -> Diffusion:
    """One of PROFILES.

    Raises:
        LabError: no such profile.
    """
    if name not in PROFILES:
        raise LabError(
            f"there is no profile {name!r}",
            where="diffusion",
            remedy=f"Profiles: {', '.join(PROFILES)}.",
        )
    return PROFILES[name]


@dataclass(frozen=True, eq=False)
class Model:
    """A trained denoiser.

    Args:
        network: predicts the noise in a picture.
        kept: (T,) share of the picture's variance left at each level, alpha bar of the paper.
        how: its settings.
        losses: means over tenths of the training.
        people: whom it learned from.
    """

    network: Denoiser
    kept: Tensor
    how: Diffusion
    losses: tuple[float, ...]
    people: int


def kept_variance(times: int) -> Tensor:
    """(T,) alpha bar of the cosine schedule (Nichol and Dhariwal 2021, eq. 17)."""
    t = torch.arange(times + 1, dtype=torch.float64) / times
    f = torch.cos((t + 0.008) / 1.008 * torch.pi / 2).square()
    beta = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return (1 - beta).cumprod(0).float()


def train(
    pictures: Tensor,
    people: int,
    how: Diffusion | None = None,
    *,
    device: str | torch.device = "cpu",
    progress: bool = False,
) -> Model:
    """Learn what portraits look like.

    Args:
        pictures: (N, H, H, 3) in [0, 1], made smaller to the model's size. Mirrored ones count too.
        people: how many people they show.
        how: settings.
        device: where to train.
        progress: show a bar.
    """
    how = Diffusion() if how is None else how
    torch.manual_seed(how.seed)
    random = torch.Generator().manual_seed(how.seed)
    x = resized(pictures, how.size).movedim(-1, 1) * 2 - 1
    network, kept = Denoiser(how.width).to(device), kept_variance(how.times)
    adam = torch.optim.AdamW(network.parameters(), lr=how.rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adam, how.rate, total_steps=how.steps + 1)
    average = {k: v.detach().clone() for k, v in network.state_dict().items()}
    losses = []
    quiet = not progress or os.environ.get("PRIVHEAD_PROFILE") == "ci"
    for step in tqdm(range(how.steps), desc="diffusion", disable=quiet):
        rows = torch.randint(len(x), (how.batch,), generator=random)
        flip = torch.rand(how.batch, 1, 1, 1, generator=random) < 0.5
        clean = torch.where(flip, x[rows].flip(-1), x[rows])
        noise = torch.randn(clean.shape, generator=random)
        t = torch.randint(how.times, (how.batch,), generator=random)
        a = kept[t].reshape(-1, 1, 1, 1)
        noisy = a.sqrt() * clean + (1 - a).sqrt() * noise
        loss = F.mse_loss(network(noisy.to(device), t.to(device) / how.times), noise.to(device))
        adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()
        schedule.step()
        losses.append(loss.item())
        share = min(0.999, (1 + step) / (10 + step))
        with torch.no_grad():
            for k, v in network.state_dict().items():
                average[k].lerp_(v, 1 - share)
    network.load_state_dict(average)
    tenths = torch.tensor(losses).tensor_split(min(10, len(losses)))
    means = tuple(round(float(part.mean()), 5) for part in tenths)
    return Model(network.eval(), kept, how, means, people)


def sample(
    model: Model,
    operator: Operator,
    modulus: Tensor,
    *,
    guidance: float | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Tensor:
    """Pictures (S, H, H, 3) in [0, 1] drawn under the guidance of one modulus each.

    Each step is DDPM's, and then DPS goes against the gradient of |m(x0(x)) - m|, where x0(x) is
    the clean picture that the network sees in x.

    Args:
        model: a trained one.
        operator: what made the modulus.
        modulus: (S, H, H), a sample is drawn for each.
        guidance: the model's own by default; 0 leaves the modulus out: the null control.
        seed: of the draws.
        progress: show a bar.

    Raises:
        LabError: a modulus of another size than the model's pictures.
    """
    how = model.how
    if modulus.dim() != 3 or modulus.shape[1:] != (how.size, how.size):
        raise LabError(
            f"moduli of shape {tuple(modulus.shape)}",
            where="diffusion",
            remedy=f"This model draws {how.size} x {how.size} pixels: give (S, H, H) of that size.",
        )
    zeta = how.guidance if guidance is None else guidance
    device = next(model.network.parameters()).device
    random = torch.Generator().manual_seed(seed)

    def drawn() -> Tensor:
        return torch.randn(len(modulus), 3, how.size, how.size, generator=random).to(device)

    x, wanted, kept = drawn(), modulus.to(device), model.kept.to(device)
    levels = torch.linspace(how.times - 1, 0, how.draws).round().long().tolist()
    quiet = not progress or os.environ.get("PRIVHEAD_PROFILE") == "ci"
    for now, after in tqdm(list(zip(levels, [*levels[1:], -1], strict=True)), disable=quiet):
        a = kept[now]
        b = kept[after] if after >= 0 else torch.ones((), device=device)
        x = x.detach().requires_grad_(zeta > 0)
        with torch.set_grad_enabled(zeta > 0):
            t = torch.full((len(x),), now / how.times, device=device)
            noise = model.network(x, t)
            clean = ((x - (1 - a).sqrt() * noise) / a.sqrt()).clamp(-1, 1)
            push = torch.zeros_like(x)
            if zeta > 0:
                off = operator.modulus(_outside(clean)) - wanted
                length = off.flatten(1).square().sum(1).add(1e-12).sqrt()
                (push,) = torch.autograd.grad(length.sum(), x)
        with torch.no_grad():
            # DDPM's posterior between two visited levels (DDIM, eq. 12 and 16, eta = 1)
            spread = ((1 - b) / (1 - a) * (1 - a / b)).clamp_min(0).sqrt()
            noise = (x - a.sqrt() * clean) / (1 - a).sqrt()
            x = b.sqrt() * clean + (1 - b - spread**2).clamp_min(0).sqrt() * noise
            x = x + spread * drawn() - zeta * 100 / how.draws * push
    return _outside(x.detach()).clamp(0, 1).cpu()


def card(model: Model) -> Card:
    """What the attack needs."""
    numbers = sum(p.numel() for p in model.network.parameters())
    return Card(
        attack="diffusion posterior sampling",
        knowledge="the operator",
        data=f"portraits of {model.people} other people",
        cost=f"{model.how.steps} steps of training of {numbers:,} numbers, {model.how.draws} "
        "evaluations with gradient a sample",
        seed=model.how.seed,
    )


def resized(pictures: Tensor, size: int) -> Tensor:
    """(N, H, H, 3) averaged or interpolated to (N, size, size, 3)."""
    if pictures.shape[1] == size:
        return pictures
    x = pictures.movedim(-1, 1)
    x = F.interpolate(x, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    return x.movedim(1, -1).clamp(0, 1)


def _outside(x: Tensor) -> Tensor:
    return (x.movedim(1, -1) + 1) / 2
