"""Lesson 00: answers as students write them; each of WRONG fails with these words."""

from __future__ import annotations

import numpy as np
import torch

WRONG = [
    ("0001", lambda p: -p, "makes colours negative"),
    ("0001", lambda p: 255 - p, "not to 255"),
    ("0001", lambda p: p, "the picture as it was"),
    ("0001", lambda p: p.flip(-1), "swaps red and blue"),
    ("0001", lambda p: p.flip(0), "upside down"),
    ("0001", lambda p: (1 - p.mean(-1, keepdim=True)).expand(p.shape), "this is grey"),
    ("0001", lambda p: 1 - p.mean(-1), "yours has the shape (4, 5)"),
    ("0001", lambda p: (p < 0.5).float(), "only black and white"),
    ("0002", lambda n, s, size: 3 * (n + s) * size**2, "not three"),
    ("0002", lambda n, s, size: (n + s) * size**2, "three numbers: red, green, blue"),
    ("0002", lambda n, s, size: (3 * n + s) * size, "size x size pixels"),
    ("0002", lambda n, s, size: (n + 3 * s) * size**2, "sensitive views that lose"),
    ("0002", lambda n, s, size: (4 * n + s) * size**2, "masks don't count"),
    ("0002", lambda n, s, size: (3 * n + 2 * s) * size**2, "these are bytes"),
    ("0002", lambda n, s, size: (3 * n, s), "shape (2,)"),
    ("0003", lambda p: p.clone(), "the picture itself"),
    ("0003", lambda p: p + 0.01 * torch.tensor([1.0, 2.0, 3.0]), "constant colour added"),
    ("0003", lambda p: 1 - p, "the negative"),
    ("0003", lambda p: 0.99 - p.clamp(0, 0.99), "the negative"),
    ("0003", lambda p: p + 0.3, "colours go from"),
    ("0003", lambda p: -p, "colours go from"),
    ("0003", lambda p: 0.5 * p + 0.2, "its modulus differs"),
    ("0003", lambda p: p.flip(1), "its modulus differs"),
    ("0003", lambda p: p.mean(-1, keepdim=True).expand(p.shape), "its modulus differs"),
    ("0003", lambda p: torch.rand(p.shape), "its modulus differs"),
    ("0003", lambda p: p[:-1], "yours has the shape"),
    ("0003", lambda p: p[..., 0], "yours has the shape"),
]

RIGHT = [
    ("0001", lambda p: torch.ones_like(p) - p),
    ("0001", lambda p: 1 - np.asarray(p)),
    ("0002", lambda n, s, size: size * size * (s + 3 * n)),
    ("0002", lambda n, s, size: sum([3 * size**2] * n) + sum([size**2] * s)),
    *(("0003", lambda p, order=order: p[..., order]) for order in ([2, 1, 0], [1, 2, 0])),
    ("0003", lambda p: torch.stack([p[..., 0], 1 - p[..., 1], p[..., 2]], -1)),
    ("0003", lambda p: 1 - p.flip(-1)),
]
