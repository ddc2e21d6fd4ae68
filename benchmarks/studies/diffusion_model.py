"""Diffusion posterior sampling: many pictures that could have given one modulus.

A small diffusion model (Ho et al., NeurIPS 2020) learns portraits of the attacker's people. Drawn
from under the guidance of a modulus (DPS, Chung et al., ICLR 2023, algorithm 1), it gives pictures
that are likely portraits and fit the modulus. How far such samples differ, and in what, says what
the modulus leaves open: identity, or only colour.

Pictures are N x 3 x H x H in [-1, 1] inside, N x H x H x 3 in [0, 1] outside.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from benchmarks.studies.diffusion_network import Denoiser
from privhead_nb.errors import LabError
from privhead_nb.lab.attacks import Card
from privhead_nb.lab.fit import fit
from privhead_nb.lab.framing import resized
from privhead_nb.lab.recognisers import Recogniser
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
    how: Diffusion,
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
    torch.manual_seed(how.seed)
    random = torch.Generator().manual_seed(how.seed)
    x = resized(pictures, how.size).clamp(0, 1).movedim(-1, 1) * 2 - 1
    network, kept = Denoiser(how.width).to(device), kept_variance(how.times)
    adam = torch.optim.AdamW(network.parameters(), lr=how.rate, weight_decay=1e-4)
    average = {k: v.detach().clone() for k, v in network.state_dict().items()}
    losses: list[float] = []

    def loss(_: int) -> Tensor:
        rows = torch.randint(len(x), (how.batch,), generator=random)
        flip = torch.rand(how.batch, 1, 1, 1, generator=random) < 0.5
        clean = torch.where(flip, x[rows].flip(-1), x[rows])
        noise = torch.randn(clean.shape, generator=random)
        t = torch.randint(how.times, (how.batch,), generator=random)
        a = kept[t].reshape(-1, 1, 1, 1)
        noisy = a.sqrt() * clean + (1 - a).sqrt() * noise
        off = F.mse_loss(network(noisy.to(device), t.to(device) / how.times), noise.to(device))
        losses.append(off.item())
        return off

    @torch.no_grad()
    def follow(step: int) -> None:
        share = min(0.999, (1 + step) / (10 + step))
        for k, v in network.state_dict().items():
            average[k].lerp_(v, 1 - share)

    def cut() -> None:
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)

    fit(
        adam, loss, how.steps, desc="diffusion", progress=progress, before_step=cut,
        after_step=follow,
    )  # fmt: skip
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
    for now, after in tqdm(list(zip(levels, [*levels[1:], -1], strict=True)), disable=not progress):
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


def _outside(x: Tensor) -> Tensor:
    return (x.movedim(1, -1) + 1) / 2


# Do the samples differ in identity, or only in colour? --------------------------------------------


def misfit(pictures: Tensor, operator: Operator, modulus: Tensor) -> Tensor:
    """(S,) root mean square of m(picture) - modulus over that of the modulus."""
    off = (operator.modulus(pictures) - modulus).flatten(1).square().mean(1)
    return (off / modulus.flatten(1).square().mean(1).clamp_min(1e-12)).sqrt()


def spread(
    samples: Tensor,
    truth: Tensor,
    others: Tensor,
    recogniser: Recogniser,
    operator: Operator,
    modulus: Tensor,
) -> dict[str, float]:
    """How samples of one modulus differ: in identity, or only in colour?

    Args:
        samples: (S, H, H, 3) of one modulus, S at least 2.
        truth: (H, H, 3).
        others: (N, H, H, 3) pictures of other people.
        recogniser: who judges identity; it learned from neither attacker's nor target's people.
        operator: what made the modulus.
        modulus: (H, H).

    Returns:
        among: mean cosine between the recogniser's vectors of two samples.
        to_truth: mean cosine of samples and the true picture.
        to_others: mean cosine of samples and other people, the null.
        colour: root mean square spread of the samples' mean colours, each over its picture.
        pattern: what is left of the samples' spread without it.
        misfit: mean relative misfit of the modulus.

    Raises:
        LabError: fewer than two samples.
    """
    if len(samples) < 2:
        raise LabError(f"{len(samples)} samples", where="diffusion", remedy="Draw at least two.")
    own, true, rest = (recogniser.embed(x)[0] for x in (samples, truth[None], others))
    pairs, count = own @ own.T, len(own)
    colour = samples.mean((1, 2))  # (S, 3)
    around = samples - colour[:, None, None]
    found = {
        "among": (pairs.sum() - pairs.trace()) / (count * (count - 1)),
        "to_truth": (own @ true.T).mean(),
        "to_others": (own @ rest.T).mean(),
        "colour": colour.var(0).mean().sqrt(),
        "pattern": around.var(0).mean().sqrt(),
        "misfit": misfit(samples, operator, modulus.expand(count, -1, -1)).mean(),
    }
    return {name: float(value) for name, value in found.items()}
