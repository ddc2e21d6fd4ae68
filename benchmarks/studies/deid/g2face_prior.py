"""What G2Face knows before it anonymises: landmarks, which identities there are, how faces look.

The paper takes a 3DMM, and a StyleGAN2 that was trained on photographs, from elsewhere. Here a face
model is fitted to known codes; dummy identities start as those that made people have; and the
decoder learns, as its generative prior, to paint the face of an identity into a portrait whose face
is covered.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import ConstantLR

from benchmarks.studies.deid.g2face_losses import (
    Weights,
    as_saved,
    hiding_loss,
    reconstruction_loss,
)
from benchmarks.studies.deid.learning import Learning, train
from benchmarks.studies.deid.portraits import KnownPortraits
from privhead_nb.deid.features import identity_of, layers_and_identity, recogniser
from privhead_nb.deid.g2face import Parts
from privhead_nb.deid.g2face.identity import NOISE, DummyIdentity, GeometryRegressor
from privhead_nb.deid.g2face.manipulate import Manipulator, PasswordExtractor
from privhead_nb.deid.g2face.payload import BITS, coarse
from privhead_nb.deid.ideudemon.codes import CoarseRegressor, Codes
from privhead_nb.deid.ideudemon.restore import KEPT, one_of
from privhead_nb.lab.fit import fit
from privhead_nb.lab.framing import SIZE

CODE_NOISE = 2 / 255
"""Standard deviation of the noise on anonymised pictures before bits are read (eq. 21)."""
GREY = 0.5


@dataclass(frozen=True)
class Variant:
    """Which of the three proposals of Table VI are there."""

    generative: bool = True
    geometric: bool = True
    fusion: bool = True


def new_parts(seed: int = 0, variant: Variant | None = None) -> Parts:
    """Untrained networks."""
    torch.manual_seed(seed)
    how = variant or Variant()
    return Parts(
        GeometryRegressor(),
        DummyIdentity(),
        Manipulator(how.fusion),
        PasswordExtractor(),
        how.geometric,
    )


def learn_face_model(
    geometry: GeometryRegressor, codes: CoarseRegressor, portraits: KnownPortraits, how: Learning
) -> None:
    """Take a trained regressor of codes, and learn where landmarks are, from known codes."""
    geometry.codes.load_state_dict(codes.state_dict())
    random = torch.Generator().manual_seed(how.seed)
    both = KnownPortraits.join([portraits, portraits.mirrored()])
    known, marks = both.codes().flat(), (2 * both.landmarks + 1) / SIZE - 1
    adam = torch.optim.Adam(geometry.face_model.parameters(), how.rate)

    def loss(_step: int) -> Tensor:
        rows = torch.randint(len(both), (how.batch,), generator=random)
        return F.mse_loss(geometry.landmarks(Codes.split(known[rows])), marks[rows])

    fit(adam, loss, how.steps, schedule=ConstantLR(adam, 1.0))
    geometry.eval().requires_grad_(False)


def learn_population(dummy: DummyIdentity, portraits: KnownPortraits, how: Learning) -> None:
    """Give dummy identities the mean and the covariance of those of made people."""
    random = torch.Generator().manual_seed(how.seed)
    some = portraits.only(torch.randperm(len(portraits), generator=random)[:2000])
    with torch.no_grad():
        own = torch.cat([identity_of(recogniser(), x) for x in some.rgb().split(100)])
    mean, spread = _moments(own)
    adam = torch.optim.Adam(dummy.parameters(), how.rate)

    def loss(_step: int) -> Tensor:
        made = dummy(torch.randn(how.batch, NOISE, generator=random))
        its_mean, its_spread = _moments(made)
        return (its_mean - mean).square().sum() + (its_spread - spread).square().sum()

    fit(adam, loss, how.steps, schedule=ConstantLR(adam, 1.0))


def _moments(vectors: Tensor) -> tuple[Tensor, Tensor]:
    mean = vectors.mean(0)
    return mean, (vectors - mean).T @ (vectors - mean) / len(vectors)


def covered(pictures: Tensor, parsing: Tensor, random: torch.Generator) -> Tensor:
    """Pictures (N, 64, 64, 3) whose face is grey, or shows the next picture's pixels there."""
    kept = one_of(parsing, KEPT)[..., None]
    grey = torch.rand(len(pictures), 1, 1, 1, generator=random) < 0.5
    other = torch.where(grey, torch.full_like(pictures, GREY), pictures.roll(1, 0))
    return torch.where(kept, pictures, other)


def learn_prior(
    parts: Parts,
    portraits: KnownPortraits,
    folder: Path,
    how: Learning,
    weights: Weights,
    progress: bool,
) -> None:
    """Paint the face of an identity into portraits whose face is covered, and hide bits in them."""
    both = KnownPortraits.join([portraits, portraits.mirrored()])
    learning: dict[str, nn.Module] = {
        "manipulator": parts.manipulator,
        "extractor": parts.extractor,
    }
    look = recogniser()

    def loss(random: torch.Generator) -> Tensor:
        some = both.drawn(how.batch, random)
        rgb = some.rgb()
        with torch.no_grad():
            wanted, own = layers_and_identity(look, rgb)
            codes, _ = parts.geometry(rgb)
        bits = torch.randint(2, (len(rgb), BITS), generator=random).float()
        input_ = covered(rgb, some.parsing, random)
        made = parts.manipulator(input_, parts.z(coarse(own), codes), bits)
        layers, _ = layers_and_identity(look, made)
        noise = CODE_NOISE * float(torch.randint(2, (1,), generator=random))
        logits = parts.extractor(as_saved(made, noise, random))
        return weights.reconstruction * reconstruction_loss(
            made, rgb, layers, wanted
        ) + weights.hiding * hiding_loss(logits, bits)

    train(learning, loss, how, folder / "prior", progress)
