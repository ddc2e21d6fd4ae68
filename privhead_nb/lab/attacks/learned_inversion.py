"""Learned inversion: a small U-Net that learned, on other people, to paint colours from moduli.

After Dosovitskiy and Brox, "Inverting Visual Representations with Convolutional Networks" (CVPR
2016). The loss is

    mean |x - y|  +  a  mean |f(x) - f(y)| / mean |f(y)|  +  b (1 - cos(e(x), e(y))),

x the guess, y the truth, f early features and e the vector of a recogniser that learned from the
attacker's people: one that scores must not have taught.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from privhead_nb.errors import LabError
from privhead_nb.lab.attacks import Attack, Card
from privhead_nb.lab.attacks.no_attack import by_pictures
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.fit import fit
from privhead_nb.lab.framing import SIZE, resized
from privhead_nb.lab.recognisers import Recogniser, head_crop
from privhead_nb.lab.recognisers.learn import Learning, disturbed, train_network
from privhead_nb.lab.recognisers.network import FaceNetwork
from privhead_nb.privacy.operators import Operator

_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Painting:
    """How the U-Net is trained."""

    steps: int = 1000  # of AdamW
    batch: int = 32  # portraits in a step
    width: int = 24  # channels of the finest level; the two below have 2 and 4 times as many
    rate: float = 3e-3  # highest learning rate of a one-cycle schedule
    perceptual: float = 0.1  # a, the weight of the features
    identity: float = 0.2  # b, the weight of the angle between the vectors
    # how the attacker's own recogniser is trained, where none is given.
    eyes: Learning = field(default_factory=lambda: Learning("arcface", epochs=14))
    seed: int = 0  # of everything random

    def seeded(self, seed: int) -> Painting:
        """The same with another seed, of the attacker's recogniser too."""
        return replace(self, seed=seed, eyes=replace(self.eyes, seed=seed))


SMALL = Painting(
    steps=100, batch=8, width=8, rate=1e-2, eyes=Learning("arcface", epochs=4, batch=16)
)
"""For tests: seconds, and no more than a sketch."""
DEFAULT = Painting()


class UNet(nn.Module):
    """(N, 1, 64, 64) -> (N, 3, 64, 64) in [0, 1], by 32, 16 and 8 places a side.

    352,000 numbers at a `width` (channels of the finest level) of 24.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        a, b, c = width, 2 * width, 4 * width
        self.enter = nn.Sequential(_conv(4, a), _conv(a, a))
        self.down_one = nn.Sequential(_conv(a, b, stride=2), _conv(b, b))
        self.down_two = nn.Sequential(_conv(b, c, stride=2), _conv(c, c), _conv(c, c))
        self.up_two, self.merge_two = _conv(c, b), _conv(2 * b, b)
        self.up_one, self.merge_one = _conv(b, a), _conv(2 * a, a)
        self.exit = nn.Conv2d(a + 4, 12, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pixel_unshuffle(x, 2)
        fine = self.enter(x)
        middle = self.down_one(fine)
        coarse = self.down_two(middle)
        middle = self.merge_two(torch.cat([middle, _twice(self.up_two(coarse))], 1))
        fine = self.merge_one(torch.cat([fine, _twice(self.up_one(middle))], 1))
        return torch.sigmoid(F.pixel_shuffle(self.exit(torch.cat([fine, x], 1)), 2))


def learned_inversion(
    others: FaceDataset,
    operator: Operator | None,
    recogniser: Recogniser,
    settings: Painting = DEFAULT,
    *,
    size: int = 64,
    eyes: FaceNetwork | None = None,
    progress: bool = False,
) -> Attack:
    """A U-Net that learned to undo an operator; a recogniser looks at its guesses (N, 64, 64, 3).

    Args:
        others: the attacker's people, none of whom may be tested.
        operator: what the release was made with; None: a grey picture is given, a positive control.
        recogniser: of clean pictures, which taught the U-Net nothing.
        settings, progress: of training.
        size: pixels of the released pictures.
        eyes: the attacker's own recogniser of colours; trained here on `others` if None.

    Raises:
        LabError: no portraits, or of another size than 64 pixels.
    """
    if len(others) == 0 or others.pictures.shape[2] != SIZE:
        raise LabError(
            f"the attacker's {len(others)} portraits have {others.pictures.shape[2]} pixels",
            where="learned inversion",
            remedy=f"Give portraits of {SIZE} pixels, better thousands.",
        )
    looking = train_network(others, settings.eyes, progress=progress) if eyes is None else eyes
    looking = looking.eval().requires_grad_(False)
    torch.manual_seed(settings.seed)
    random = torch.Generator().manual_seed(settings.seed)
    network = UNet(settings.width).train()
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    adam = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=1e-3)

    def loss(_: int) -> Tensor:
        rows = torch.randint(len(others), (settings.batch,), generator=random)
        truth = disturbed(others, rows, random)[0]
        guess = network(_input(shown(truth, operator, size, random), operator))
        truth = truth.movedim(-1, 1)
        return (guess - truth).abs().mean() + _seen(looking, guess, truth, settings)

    fit(adam, loss, settings.steps, desc="inversion", progress=progress)
    network.eval()

    def picture(released: Tensor) -> Tensor:
        with torch.no_grad():
            parts = [network(_input(part, operator)) for part in released.float().split(256)]
        return torch.cat(parts).movedim(1, -1)

    card = Card(
        attack="learned inversion" + ("" if operator else ", positive control on grey pictures"),
        knowledge="the operator" if operator else "a grey picture",
        data=f"{len(others)} portraits of {len(torch.unique(others.identity))} other people",
        cost=f"{settings.steps} steps of {settings.batch} pictures, "
        f"{sum(p.numel() for p in network.parameters()):,} numbers; and a recogniser to look",
        seed=settings.seed,
    )
    return by_pictures(card, picture, recogniser, operator, size)


def shown(
    colours: Tensor, operator: Operator | None, size: int, random: torch.Generator | None = None
) -> Tensor:
    """(N, H, H, 3) -> (N, size, size) what an inverter is given: moduli, or, for None, grey."""
    small = resized(colours, size)
    if operator is None:
        return (small * small.new_tensor(_LUMA)).sum(-1)
    return operator.protect(small, random)


def _input(released: Tensor, operator: Operator | None) -> Tensor:
    """(N, H, H) -> (N, 1, 64, 64) in units of a quarter of the peak."""
    x = released if operator is None else released / (0.25 * operator.peak)
    x = x[:, None]
    if x.shape[-1] != SIZE:
        x = F.interpolate(x, size=(SIZE, SIZE), mode="bilinear", antialias=True)
    return x


def _seen(eyes: FaceNetwork, guess: Tensor, truth: Tensor, settings: Painting) -> Tensor:
    """The second and third term of the loss."""
    x, y = (head_crop(p.movedim(1, -1)) for p in (guess, truth))
    with torch.no_grad():
        wanted = _features(eyes, y)
    found = _features(eyes, x)
    loss = settings.identity * (1 - F.cosine_similarity(found[-1], wanted[-1])).mean()
    for a, b in zip(found[:-1], wanted[:-1], strict=True):
        loss = loss + settings.perceptual * (a - b).abs().mean() / b.abs().mean().clamp_min(1e-6)
    return loss


def _features(eyes: FaceNetwork, x: Tensor) -> list[Tensor]:
    """What the recogniser's first two levels see, and its vectors."""
    *fine, coarsest = eyes.layers(x)
    return [*fine, eyes.vector(coarsest)]


def _conv(before: int, after: int, stride: int = 1) -> nn.Sequential:
    """3 x 3 convolution, norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(after),
        nn.ReLU(),
    )


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
