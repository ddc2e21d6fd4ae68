"""The networks of a face swap in miniature, and how long they are trained."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from privhead_nb.lab.recognisers import HEIGHT, WIDTH

SMALL = (HEIGHT // 8, WIDTH // 8)  # of the deepest feature map


@dataclass(frozen=True)
class Swapping:
    """How a tool is trained.

    Args:
        steps: of the optimiser.
        batch: pictures of each person in a step; of all people for a prior.
        width: channels of the first layer.
        code: numbers that a picture becomes (`train_pair`), or that say who (`train_prior`). Few,
            so that both decoders of a pair have to read them alike.
        manner: numbers that say how: pose, light, expression (`train_prior`). Few, so that a face
            does not fit through.
        rate: highest learning rate of a one-cycle schedule.
        adapt: steps of `adapted`.
        seed: of all that is random.
    """

    steps: int = 1000
    batch: int = 8
    width: int = 16
    code: int = 32
    manner: int = 16
    rate: float = 3e-3
    adapt: int = 150
    seed: int = 0


class Encoder(nn.Module):
    """(N, 3, 56, 40) -> (N, code)."""

    def __init__(self, width: int, code: int) -> None:
        super().__init__()
        sizes = (3, width, 2 * width, 4 * width)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.Conv2d(inputs, outputs, 5, stride=2, padding=2), nn.LeakyReLU(0.1)]
        self.body = nn.Sequential(*layers)
        self.out = nn.Linear(4 * width * SMALL[0] * SMALL[1], code)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.body(2 * x - 1).flatten(1))


class Decoder(nn.Module):
    """(N, code) -> (N, 3, 56, 40); colours, not yet cut to [0, 1]: a cut end gives no gradient."""

    def __init__(self, width: int, code: int) -> None:
        super().__init__()
        sizes = (4 * width, 2 * width, width, 3)
        self.start = nn.Linear(code, 4 * width * SMALL[0] * SMALL[1])
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            layers += [nn.LeakyReLU(0.1), nn.Conv2d(inputs, 4 * outputs, 3, padding=1)]
            layers += [nn.PixelShuffle(2)]
        self.body = nn.Sequential(*layers)

    def forward(self, code: Tensor) -> Tensor:
        return 0.5 + self.body(self.start(code).reshape(len(code), -1, *SMALL))


class Pair(nn.Module):
    """One encoder, a decoder for the actor, a decoder for the target."""

    def __init__(self, how: Swapping) -> None:
        super().__init__()
        self.encoder = Encoder(how.width, how.code)
        self.actor, self.target = (Decoder(how.width, how.code) for _ in range(2))


class Prior(nn.Module):
    """A decoder that is told who and how, and the encoders that tell it."""

    def __init__(self, how: Swapping) -> None:
        super().__init__()
        self.who = Encoder(how.width, how.code)
        self.how = Encoder(how.width, how.manner)
        self.draw = Decoder(how.width, how.code + how.manner)

    def identity(self, pictures: Tensor) -> Tensor:
        """(code,) mean over pictures (N, 3, 56, 40) of one person."""
        return self.who(pictures).mean(0)

    def forward(self, who: Tensor, pictures: Tensor) -> Tensor:
        """People `who` (N, code), held and lit as in pictures (N, 3, 56, 40)."""
        return self.draw(torch.cat([who, self.how(pictures)], 1))
