"""A picture from its signed differences: Poisson's equation, solved by cosines.

With D the forward differences, the least-squares picture solves D'D x = D'g. Mirrored at its
borders, D'D is the Laplacian whose eigenvectors are the cosines of the DCT-II, and

    lambda(u, v) = (2 - 2 cos(pi u / H)) + (2 - 2 cos(pi v / W)).

So: divergence, DCT, divide, inverse DCT. lambda(0, 0) is 0: the mean can't be known, and is 0 here.
Knowledge: the signs, which a modulus does not give. That makes it a positive control of section 7:
where signs are released, a picture comes back in one division.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.fft import dctn, idctn
from torch import Tensor

Floats = NDArray[np.float64]


def from_differences(right: Floats, down: Floats) -> Floats:
    """The picture of mean 0 whose differences come nearest.

    Args:
        right: (H, W - 1) x[i, j + 1] - x[i, j].
        down: (H - 1, W) x[i + 1, j] - x[i, j].

    Returns:
        (H, W).
    """
    height, width = right.shape[0], down.shape[1]
    pulled = np.zeros((height, width))  # D'g
    pulled[:, 1:] += right
    pulled[:, :-1] -= right
    pulled[1:] += down
    pulled[:-1] -= down
    u, v = np.arange(height)[:, None], np.arange(width)
    eigenvalues = 4 - 2 * np.cos(np.pi * u / height) - 2 * np.cos(np.pi * v / width)
    eigenvalues[0, 0] = 1.0
    spectrum = dctn(pulled, norm="ortho") / eigenvalues
    spectrum[0, 0] = 0.0
    return np.asarray(idctn(spectrum, norm="ortho"))


def rebuilt(picture: Tensor, change: Callable[[Floats], Floats]) -> Tensor:
    """What Poisson's equation makes of a picture's differences after `change`, of mean 0.

    Args:
        picture: (H, W, 3).
        change: called with each channel's differences, (H, W - 1) and (H - 1, W).
    """
    channels = []
    for channel in picture.detach().double().numpy().transpose(2, 0, 1):
        right, down = (change(np.diff(channel, axis=axis)) for axis in (1, 0))
        channels.append(from_differences(right, down))
    return torch.from_numpy(np.stack(channels, axis=-1))
