"""How the samples of a diffusion model differ: in identity, or only in colour?"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.lab.recognition import Recogniser
from privhead_nb.privacy.operators import Operator


def misfit(pictures: Tensor, operator: Operator, modulus: Tensor) -> Tensor:
    """(S,) root mean square of m(picture) - modulus over that of the modulus."""
    off = (operator.modulus(pictures) - modulus).flatten(1).square().mean(1)
    return (off / modulus.flatten(1).square().mean(1).clamp_min(1e-12)).sqrt()


@dataclass(frozen=True)
class Spread:
    """How samples of one modulus differ.

    Attributes:
        among: mean cosine between the recogniser's vectors of two samples.
        to_truth: mean cosine of samples and the true picture.
        to_others: mean cosine of samples and other people, the null.
        colour: root mean square over pixels of the samples' spread around their mean colour,
            after each sample's own mean colour over the picture is counted alone.
        pattern: what is left of the samples' spread without it.
        misfit: mean relative misfit of the modulus.
    """

    among: float
    to_truth: float
    to_others: float
    colour: float
    pattern: float
    misfit: float


def spread(
    samples: Tensor,
    truth: Tensor,
    others: Tensor,
    recogniser: Recogniser,
    operator: Operator,
    modulus: Tensor,
) -> Spread:
    """Do the samples differ in identity, or only in colour?

    Args:
        samples: (S, H, H, 3) of one modulus, S at least 2.
        truth: (H, H, 3).
        others: (N, H, H, 3) pictures of other people.
        recogniser: who judges identity; it learned from neither attacker's nor target's people.
        operator: what made the modulus.
        modulus: (H, H).

    Raises:
        LabError: fewer than two samples.
    """
    if len(samples) < 2:
        raise LabError(f"{len(samples)} samples", where="diffusion", remedy="Draw at least two.")
    own, _ = recogniser.embed(samples)
    true, _ = recogniser.embed(truth[None])
    rest, _ = recogniser.embed(others)
    pairs = own @ own.T
    count = len(own)
    colour = samples.mean((1, 2))  # (S, 3)
    around = samples - colour[:, None, None]
    return Spread(
        among=float((pairs.sum() - pairs.trace()) / (count * (count - 1))),
        to_truth=float((own @ true.T).mean()),
        to_others=float((own @ rest.T).mean()),
        colour=float(colour.var(0).mean().sqrt()),
        pattern=float(around.var(0).mean().sqrt()),
        misfit=float(misfit(samples, operator, modulus.expand(count, -1, -1)).mean()),
    )
