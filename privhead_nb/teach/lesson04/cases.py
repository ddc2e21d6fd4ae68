"""Cases of lesson 4's checks: pictures, maps and kernels, by what is special about them."""

from __future__ import annotations

import torch
from torch import Tensor

from privhead_nb.kernels.gradient_loss import gradient_modulus_reference
from privhead_nb.privacy.operators import Operator


def pictures() -> dict[str, tuple[Tensor, ...]]:
    """Rendered, photo (H, W, 3) each, and kernels."""
    noise = torch.rand(2, 7, 9, 3, generator=torch.Generator().manual_seed(41))
    sobel, wide = Operator("sobel").kernels(), Operator("sobel", blur=0.5).kernels()
    ramp = (torch.arange(6.0) / 6)[None, :, None].expand(5, 6, 3)
    return {
        "a ramp against an even picture": (ramp, torch.full_like(ramp, 0.5), *sobel),
        "a picture against its negative": (noise[0], 1 - noise[0], *sobel),
        "noise against noise": (noise[0], noise[1], *sobel),
        "a wider kernel": (noise[1], noise[0], *wide),
    }


def maps() -> dict[str, tuple[Tensor, Tensor]]:
    """Maps of colour, free ones and others, by what they do."""
    one, none = torch.eye(3), torch.zeros(3)
    about = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    luma = torch.tensor([0.299, 0.587, 0.114]).expand(3, 3)
    return {
        "an offset": (one, torch.tensor([0.1, -0.1, 0.2])),
        "the negative": (-one, torch.ones(3)),
        "red and blue swapped": (one.flip(1), none),
        "half the contrast": (0.5 * one, none),
        "a turn of colours about grey": (torch.matrix_exp(0.8 * about), 0.1 * torch.ones(3)),
        "a shear with determinant 1": (torch.tensor([[1.0, 0.4, 0], [0, 1, 0], [0, 0, 1]]), none),
        "a turn with a wrong sign": (torch.tensor([[0.8, 0.6, 0], [0.6, 0.8, 0], [0, 0, 1]]), none),
        "green alone turned over": (torch.diag(torch.tensor([1.0, -1, 1])), none),
        "black and white": (luma, none),
        "blue 2 % stronger": (torch.diag(torch.tensor([1.0, 1, 1.02])), none),
        "red squeezed and blue stretched": (torch.diag(torch.tensor([0.5, 1, 2])), none),
    }


def for_gradients() -> dict[str, tuple[Tensor, ...]]:
    """Pictures, targets and kernels, by what is special about them."""
    random = torch.Generator().manual_seed(45)
    sobel, roberts = Operator("sobel").kernels(), Operator("roberts").kernels()
    odd = (torch.randn(5, 5, generator=random), torch.randn(5, 5, generator=random))
    noise = torch.rand(3, 8, 9, generator=random)
    grey = torch.rand(1, 7, 6, generator=random)
    half_flat = noise.clone()
    half_flat[:, :, :5] = 0.5

    def target(height: int, width: int) -> Tensor:
        return 0.3 * torch.rand(height, width, generator=random)

    exact = gradient_modulus_reference(noise[None], *sobel)[0]
    return {
        "noise, Sobel": (noise, target(6, 7), *sobel),
        "one channel": (grey, target(5, 4), *sobel),
        "a picture that is even on its left": (half_flat, target(6, 7) + 0.1, *sobel),
        "a picture that is even everywhere": (torch.full((3, 6, 6), 0.5), target(4, 4), *sobel),
        "a rendering that is exactly right": (noise, exact, *sobel),
        "Roberts' crosses": (noise, target(6, 7), *roberts),
        "kernels without any symmetry": (noise, target(4, 5), *odd),
    }
