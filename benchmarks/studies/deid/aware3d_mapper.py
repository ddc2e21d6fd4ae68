"""Training of E_aux and M_c: inversion first, then the paper's stages 1 and 2 (eq. 4 to 10).

Inversion is not in the paper. It learns from codes alone, without rendering, which is cheap; the
stages then need few steps. There identities can be swapped exactly, since codes are known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from benchmarks.studies.deid.aware3d_critic import (
    LatentDiscriminator,
    adversarial_loss,
    discriminator_loss,
    set_spread,
)
from benchmarks.studies.deid.aware3d_generator import known_codes
from benchmarks.studies.deid.learning import Learning, Turn, fast, step_down, train, train_in_turns
from benchmarks.studies.deid.portraits import KnownPortraits
from privhead_nb.deid.aware3d import Networks, losses
from privhead_nb.deid.aware3d.examples import Examples, mixed_codes, vectors
from privhead_nb.deid.features import layers_and_identity, recogniser

INVERSION = Learning(2400, 32, 2e-3)
STAGE_1 = Learning(240, 8, 2e-4)
STAGE_2 = Learning(900, 8, 1.5e-3)
ADVERSARIAL_RATE, CRITIC_RATE = 5e-5, 1e-3
"""Of the encoders' adversarial steps, and of D. The paper's are 5e-6 and 2e-6, for many steps."""
TAUS = (0.3, 1.8)
"""Least and most tau that stage 2 draws; half of the pictures get FOCUS."""
FOCUS = 1.5
SOURCE_TAU = 0.0
"""The tau of a mapper that is to keep the identity it is given: stage 1."""


@dataclass(frozen=True)
class Weights:
    """Lambda of each term, the paper's (section 5.1); `adversarial`, `margin` and `r1` are ours."""

    identity: float = 1.0
    mask: float = 1.0
    reconstruction: float = 1.0
    attributes: float = 100.0
    direction: float = 10.0
    inversion_w: float = 0.1
    inversion_d: float = 10.0
    contrastive: float = 0.5
    margin: float = 0.5
    adversarial: float = 1.0
    r1: float = 1.0


def of_portraits(portraits: KnownPortraits) -> Examples:
    """Examples of portraits, in the same order."""
    return Examples(
        identity=portraits.identity,
        pictures=portraits.pictures,
        w=known_codes(portraits),
        pose=portraits.pose,
        vector=vectors(portraits.rgb()),
    )


def train_inversion(
    examples: Examples,
    networks: Networks,
    folder: Path,
    learning: Learning = INVERSION,
    progress: bool = True,
) -> None:
    """E_aux and M_c by L_inv alone (eq. 7), half of each batch with another's identity."""
    torch.manual_seed(learning.seed)
    auxiliary, mapper = networks.auxiliary, networks.mapper
    auxiliary.to(memory_format=torch.channels_last)
    with torch.no_grad():
        set_spread(examples.w, mapper)
    half = learning.batch // 2

    def loss(random: torch.Generator) -> Tensor:
        how = torch.randint(len(examples), (learning.batch,), generator=random)
        other = torch.randint(len(examples), (half,), generator=random)
        who = torch.cat([how[: learning.batch - half], other])
        i, j = examples.only(who), examples.only(how)
        with fast():
            attributes, direction = auxiliary(j.rgb())
        made = mapper(i.vector, attributes, no_tau(i.vector))
        off = losses.inversion_loss(mixed_codes(i, j) / mapper.spread, made / mapper.spread)
        return off + 2 * losses.direction_loss(j.pose, direction)

    parts = {"auxiliary": auxiliary, "mapper": mapper}
    train(parts, loss, learning, folder / "inversion", progress)


def no_tau(like: Tensor) -> Tensor:
    """(N,) the tau of stage 1, for rows of (N, D)."""
    return like.new_full((len(like),), SOURCE_TAU)


def frozen_call(network: nn.Module, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """E_aux's answer whose gradient reaches the pictures and not its own numbers.

    A z_at that is always the same would meet eq. 5 perfectly; this keeps E_aux from getting there.
    """
    numbers = {name: value.detach() for name, value in network.state_dict(keep_vars=True).items()}
    out: tuple[Tensor, Tensor] = functional_call(network, numbers, (pictures,))
    return out


@dataclass(frozen=True, eq=False)
class Seen:
    """What is read of a batch's pictures before and after."""

    pictures: Tensor  # X_j (N, 64, 64, 3)
    made: Tensor  # X^ (N, 64, 64, 3)
    attributes: Tensor  # z_at of X_j
    direction: Tensor  # z_d of X_j
    w: Tensor  # M_c's codes
    vector: Tensor  # z_id of X^
    features: list[Tensor]  # of E_id, of X^


def kept_alike(networks: Networks, seen: Seen, weights: Weights) -> Tensor:
    """L_attr and L_d (eq. 5) and L_mask (eq. 6), which both stages have, weighted."""
    attributes, direction = frozen_call(networks.auxiliary, seen.made)
    parsed_made = networks.parser(seen.made).float().softmax(1)
    with torch.no_grad():
        parsed = networks.parser(seen.pictures).float().softmax(1)
    return (
        weights.attributes * losses.attribute_loss(seen.attributes.detach(), attributes)
        + weights.direction * losses.direction_loss(seen.direction.detach(), direction)
        + weights.mask * losses.mask_loss(seen.pictures, seen.made, parsed, parsed_made)
    )


def converted(
    networks: Networks,
    vector: Tensor,
    pictures: Tensor,
    tau: Tensor,
    random: torch.Generator | None = None,
) -> Seen:
    """X^ of identities `vector` (N, 64) with all else of pictures X_j."""
    attributes, direction = networks.auxiliary(pictures)
    w = networks.mapper(vector, attributes, tau)
    made, _ = networks.nerf(w, direction, random)
    features, own = layers_and_identity(recogniser(), made)
    return Seen(pictures, made, attributes, direction, w, own.float(), features)


def stage_1_loss(
    networks: Networks,
    i: Examples,
    j: Examples,
    swap: bool,
    weights: Weights,
    random: torch.Generator | None = None,
) -> Tensor:
    """Eq. 4 to 8 of one batch: face reconstruction (i is j), or face swapping.

    Args:
        i, j: who gives the identity, and who all else.
        swap: which of both it is.
    """
    seen = converted(networks, i.vector, j.rgb(), no_tau(i.vector), random)
    total = weights.identity * losses.identity_loss(i.vector, seen.vector)
    total = total + kept_alike(networks, seen, weights)
    if swap:
        off = losses.contrastive_loss(i.vector, j.vector, seen.vector, weights.margin)
        return total + weights.contrastive * off
    with torch.no_grad():
        known, _ = layers_and_identity(recogniser(), seen.pictures)
    rebuilt = F.mse_loss(seen.made, seen.pictures) + losses.perceptual_loss(known, seen.features)
    return (
        total
        + weights.inversion_w * losses.inversion_loss(j.w, seen.w)
        + weights.inversion_d * losses.direction_loss(j.pose, seen.direction)
        + weights.reconstruction * rebuilt
    )


def stage_2_loss(
    networks: Networks,
    batch: Examples,
    tau: Tensor,
    weights: Weights,
    random: torch.Generator | None = None,
) -> Tensor:
    """Eq. 9 and 10 of one batch, but for the adversarial term, which has steps of its own."""
    seen = converted(networks, batch.vector, batch.rgb(), tau, random)
    off = losses.deidentification_loss(batch.vector, seen.vector, tau)
    return off + kept_alike(networks, seen, weights)


def drawn_tau(count: int, random: torch.Generator) -> Tensor:
    """(N,) taus of a batch: even numbers get FOCUS, odd ones any of TAUS."""
    low, high = TAUS
    tau = low + (high - low) * torch.rand(count, generator=random)
    tau[::2] = FOCUS
    return tau


def train_stage_1(
    examples: Examples,
    networks: Networks,
    folder: Path,
    learning: Learning = STAGE_1,
    weights: Weights | None = None,
    progress: bool = True,
) -> None:
    """Disentanglement: two batches are reconstructed for each that is swapped."""
    how = weights or Weights()

    def batch(step: int, random: torch.Generator) -> tuple[Tensor, Callable[[], Tensor]]:
        j = examples.drawn(learning.batch, random)
        swap, other = step % 3 == 2, examples.drawn(learning.batch, random)
        i = other if swap else j
        loss = stage_1_loss(networks, i, j, swap, how, random)

        def again() -> Tensor:
            attributes, _ = networks.auxiliary(j.rgb())
            out: Tensor = networks.mapper(i.vector, attributes, no_tau(i.vector))
            return out

        return loss, again

    parts = {"auxiliary": networks.auxiliary, "mapper": networks.mapper}
    _adversarially(examples, parts, batch, learning, how, folder / "stage_1", progress)


def train_stage_2(
    examples: Examples,
    networks: Networks,
    folder: Path,
    learning: Learning = STAGE_2,
    weights: Weights | None = None,
    progress: bool = True,
) -> None:
    """De-identification: M_c for all tau at once. E_aux keeps what stage 1 gave it."""
    how = weights or Weights()
    networks.auxiliary.eval().requires_grad_(False)

    def batch(_at: int, random: torch.Generator) -> tuple[Tensor, Callable[[], Tensor]]:
        some = examples.drawn(learning.batch, random)
        tau = drawn_tau(learning.batch, random)
        loss = stage_2_loss(networks, some, tau, how, random)

        def again() -> Tensor:
            out: Tensor = networks.mapper(some.vector, networks.auxiliary(some.rgb())[0], tau)
            return out

        return loss, again

    parts = {"mapper": networks.mapper}
    _adversarially(examples, parts, batch, learning, how, folder / "stage_2", progress)


def _adversarially(
    examples: Examples,
    parts: Mapping[str, nn.Module],
    batch: Callable[[int, torch.Generator], tuple[Tensor, Callable[[], Tensor]]],
    learning: Learning,
    weights: Weights,
    path: Path,
    progress: bool,
) -> None:
    """Adam on the other losses, on the adversarial one, and on D's, in turn (section 5.1)."""
    torch.manual_seed(learning.seed)
    critic = LatentDiscriminator()
    with torch.no_grad():
        real = examples.w
        set_spread(real, critic)
    numbers = [p for part in parts.values() for p in part.parameters()]
    adams = {
        "others": torch.optim.Adam(numbers, learning.rate, betas=(0.9, 0.999)),
        "adversarial": torch.optim.Adam(numbers, ADVERSARIAL_RATE, betas=(0.9, 0.999)),
        "critic": torch.optim.Adam(critic.parameters(), CRITIC_RATE, betas=(0.9, 0.999)),
    }

    def turn(step: int, random: torch.Generator) -> Turn:
        with fast():
            loss, again = batch(step, random)

        def others_turn() -> dict[str, Tensor]:
            w = again()
            fooled = weights.adversarial * adversarial_loss(critic(w))
            step_down(adams["adversarial"], fooled)
            some = real[torch.randint(len(real), (len(w),), generator=random)]
            judged = discriminator_loss(critic, some, w, weights.r1)
            step_down(adams["critic"], judged)
            return {"critic": judged.detach()}

        return loss, others_turn

    train_in_turns({**parts, "critic": critic}, adams, turn, learning, path, progress,
                   steady=("adversarial", "critic"))  # fmt: skip
