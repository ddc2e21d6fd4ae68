"""Colours that colour-blind readers can tell apart (Okabe and Ito), and moduli as drawings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLUE, ORANGE, GREEN, VERMILLION, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
SENSITIVE, NEUTRAL = VERMILLION, BLUE


def modulus_picture(modulus: NDArray[np.float32]) -> NDArray[np.float32]:
    """A modulus (H, W) as a drawing (H, W, 3), dark lines on white.

    Scaled by its own 99.5th percentile: a picture to look at, not to measure.
    """
    top = max(float(np.percentile(modulus, 99.5)), 1e-6)
    grey = 1.0 - np.clip(modulus / top, 0.0, 1.0)
    return np.repeat(grey[..., None], 3, axis=2).astype(np.float32)
