"""Where the kernels' tests run: Numba on the CPU, Triton on a GPU, or in its interpreter."""

import pytest
import torch

from privhead_nb.kernels.dispatch import numba_available, triton_available

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"  # Triton's
needs_numba = pytest.mark.skipif(not numba_available(), reason="Numba is not installed")
needs_triton = pytest.mark.skipif(
    not triton_available(), reason="Triton is not installed (there is one for Linux only)"
)
NUMBA = pytest.param("numba", marks=needs_numba)
TRITON = pytest.param("triton", marks=needs_triton)
KERNELS = [NUMBA, TRITON]


def device_of(backend: str) -> str:
    return DEVICE if backend == "triton" else "cpu"
