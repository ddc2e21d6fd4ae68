"""Training of G2Face: g2face_prior.py first, then all else at once (algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.studies.deid.g2face_losses import (
    Weights,
    adversarial_loss,
    anonymous_identity_loss,
    as_saved,
    diversity_loss,
    geometry_loss,
    gradient_penalty,
    hiding_loss,
    reconstruction_loss,
    recovered_identity_loss,
    shaken,
)
from benchmarks.studies.deid.g2face_prior import (
    CODE_NOISE,
    Variant,
    covered,
    learn_face_model,
    learn_population,
    learn_prior,
    new_parts,
)
from benchmarks.studies.deid.ideudemon_losses import Discriminator, discriminator_loss
from benchmarks.studies.deid.learning import Learning, Turn, step_down, train_in_turns
from benchmarks.studies.deid.portraits import KnownPortraits
from privhead_nb.deid.features import identity_of, layers_and_identity, recogniser
from privhead_nb.deid.g2face import Parts
from privhead_nb.deid.g2face.identity import NOISE
from privhead_nb.deid.g2face.payload import BITS, coarse
from privhead_nb.deid.ideudemon.codes import CoarseRegressor

FACE_MODEL = Learning(400, 256, 3e-3)
POPULATION = Learning(300, 256, 3e-3)
PRIOR = Learning(500, 8, 3e-3)
PRIOR_WEIGHTS = Weights(reconstruction=10.0)
JOINT = Learning(1800, 8, 2e-3)
R1, R1_EVERY = 1.0, 8
"""Weight of R1, and steps between two of it (StyleGAN2's lazy regularisation)."""
REHEARSED, STRANGERS = 4, 3
"""One row in so many repeats the prior; one of those that are recovered gets another identity.

Fewer rows than that have none such.
"""


@dataclass(frozen=True)
class Training:
    """All that a training needs to know."""

    face_model: Learning = FACE_MODEL
    population: Learning = POPULATION
    prior: Learning = PRIOR
    joint: Learning = JOINT
    weights: Weights = field(default_factory=Weights)
    variant: Variant = field(default_factory=Variant)


def train(
    codes: CoarseRegressor,
    portraits: KnownPortraits,
    folder: Path,
    training: Training | None = None,
    progress: bool = True,
) -> Parts:
    """The whole system, around a trained regressor of codes; goes on where it was interrupted."""
    how = training or Training()
    parts = new_parts(how.joint.seed, how.variant)
    learn_face_model(parts.geometry, codes, portraits, how.face_model)
    learn_population(parts.dummy, portraits, how.population)
    for part in (parts.dummy, parts.manipulator, parts.extractor):
        part.to(memory_format=torch.channels_last)
    if how.variant.generative:
        learn_prior(parts, portraits, folder, how.prior, PRIOR_WEIGHTS, progress)
    train_jointly(parts, portraits, folder, how, progress)
    return parts


def train_jointly(
    parts: Parts, portraits: KnownPortraits, folder: Path, training: Training, progress: bool
) -> None:
    """Anonymise, extract, recover: eq. 22 and 23 together, against a discriminator."""
    how, critic = training.joint, Discriminator(64, 64)
    critic.to(memory_format=torch.channels_last)
    learning = {
        "dummy": parts.dummy, "manipulator": parts.manipulator, "extractor": parts.extractor
    }  # fmt: skip
    numbers = [p for part in learning.values() for p in part.parameters()]
    adams = {
        "parts": torch.optim.Adam(numbers, how.rate, betas=(0.5, 0.99)),
        "critic": torch.optim.Adam(critic.parameters(), how.rate, betas=(0.5, 0.99)),
    }
    both = KnownPortraits.join([portraits, portraits.mirrored()])

    def turn(step: int, random: torch.Generator) -> Turn:
        some = both.drawn(how.batch, random)
        total, made, shares = losses_of(
            parts, some, critic, training.weights, random, noisy=step % 2 == 1
        )

        def critics_turn() -> dict[str, Tensor]:
            step_down(adams["critic"], _judged(critic, some.rgb(), made.detach(), step))
            return shares

        return total, critics_turn

    kept = {**learning, "critic": critic}
    train_in_turns(kept, adams, turn, how, folder / "joint", progress)


def losses_of(
    parts: Parts,
    some: KnownPortraits,
    critic: Discriminator,
    weights: Weights,
    random: torch.Generator,
    *,
    noisy: bool,
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Both stages of one batch: the total of eq. 22 and 23, what was made, and shares to be shown.

    A part of the batch repeats the prior: its face is covered, and its own identity given. Of the
    rest, which is anonymised and recovered, some are given another's identity at recovery, and are
    to become that one (eq. 13): who has no password is not to see the original.
    """
    look, pictures, N = recogniser(), some.rgb(), len(some)
    first = N // REHEARSED
    with torch.no_grad():
        wanted, own = layers_and_identity(look, pictures)
        codes, _ = parts.geometry(pictures)
    bits = torch.randint(2, (2, N, BITS), generator=random).float()  # one password, one placeholder
    dummy = parts.dummy(torch.randn(N - first, NOISE, generator=random))
    given = torch.cat([coarse(own[:first]), dummy])
    shown = torch.cat([covered(pictures, some.parsing, random)[:first], pictures[first:]])
    made = parts.manipulator(shown, parts.z(given, codes), bits[0])
    saved = as_saved(made, CODE_NOISE if noisy else 0.0, random)
    logits = parts.extractor(saved)
    rehearsed = made.new_zeros(())
    if first:
        layers, _ = layers_and_identity(look, made[:first])
        rehearsed = reconstruction_loss(
            made[:first], pictures[:first], layers, [x[:first] for x in wanted]
        )

    anonymised, own = made[first:], own[first:]
    clean = as_saved(anonymised, 0.0, random)
    seen, _ = parts.geometry(clean)
    others = len(own) // STRANGERS
    asked = coarse(torch.cat([own.roll(1, 0)[:others], own[others:]]))
    recovered = parts.manipulator(clean, parts.z(asked, seen), bits[1, first:])
    back, _ = parts.geometry(recovered)
    layers, known = layers_and_identity(look, recovered)
    right = slice(others, None)
    original = pictures[first:][right]

    hidden = identity_of(look, shaken(anonymised, random))
    identity = anonymous_identity_loss(hidden, own, dummy)
    if others:
        strange = anonymous_identity_loss(known[:others], own[:others], asked[:others])
        identity = identity + strange * others / len(own)
    made = torch.cat([anonymised, recovered])
    fooled = 2 * adversarial_loss(critic(made.movedim(-1, 1))[0])
    true = codes.flat()[first:]
    shape = sum(
        geometry_loss(x, type(x).split(true), parts.geometry, weights) for x in (seen, back)
    )
    total = (
        weights.reconstruction
        * (
            reconstruction_loss(
                recovered[right], original, [x[right] for x in layers],
                [x[first:][right] for x in wanted],
            )
            + rehearsed
        )
        + weights.adversarial * fooled
        + weights.identity * (identity + recovered_identity_loss(known[right], own[right]))
        + weights.diversity * diversity_loss(dummy)
        + weights.geometry * shape
        + weights.hiding * hiding_loss(logits, bits[0])
    )  # fmt: skip
    off = (recovered[right] - original).square().mean().clamp_min(1e-9)
    shares = {
        "psnr": -10 * off.log10(),
        "wrong": ((logits > 0).float() != bits[0]).float().mean(),
        "near": (hidden * dummy).sum(1).mean(),
        "away": (hidden * own).sum(1).mean(),
        "fooled": fooled,
    }
    return total, made, {name: share.detach() for name, share in shares.items()}


def _judged(critic: Discriminator, real: Tensor, made: Tensor, step: int) -> Tensor:
    """The discriminator's loss of pictures (N, 64, 64, 3), with R1 at some steps."""
    real = real.movedim(-1, 1)
    if step % R1_EVERY:
        return discriminator_loss(critic(real)[0], critic(made.movedim(-1, 1))[0])
    real = real.clone().requires_grad_()
    logits = critic(real)[0]
    off = discriminator_loss(logits, critic(made.movedim(-1, 1))[0])
    return off + R1_EVERY * R1 / 2 * gradient_penalty(logits, real)
