"""The small head of a distance field as one reads it: one hidden layer of silu behind a code."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def sdf_head_reference(
    points: Tensor, encoded: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor
) -> Tensor:
    """The specification of `sdf_head`: W2 silu(W1 [x, e] + b1) + b2, (N, O)."""
    z = F.linear(torch.cat([points, encoded], -1), w1, b1)
    return F.linear(F.silu(z), w2, b2)
