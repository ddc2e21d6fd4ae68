"""Lesson 00: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

import numpy as np
import torch

WRONG = [
    ("0003", lambda p: p.clone(), "the picture itself"),
    ("0003", lambda p: p + 0.01 * torch.tensor([1.0, 2.0, 3.0]), "constant colour added"),
    ("0003", lambda p: 1 - p, "the negative"),
    ("0003", lambda p: -p, "colours go from"),
    ("0003", lambda p: p.flip(1), "its modulus differs"),
    ("0003", lambda p: p[..., 0], "yours has the shape"),
]

RIGHT = [
    ("0001", lambda p: 1 - np.asarray(p)),
    ("0002", lambda n, s, size: sum([3 * size**2] * n) + sum([size**2] * s)),
    ("0003", lambda p: p[..., [1, 2, 0]]),
    ("0003", lambda p: torch.stack([p[..., 0], 1 - p[..., 1], p[..., 2]], -1)),
]
