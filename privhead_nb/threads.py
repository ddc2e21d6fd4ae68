"""How long a thread that has nothing to do stays awake. Needs nothing but Python itself.

PyTorch's threads wait for work, and for each other, in a loop: on Linux for 300,000 rounds (6.5 ms
where it was measured) before they sleep. On a machine that is busy with other work, they take the
time of those they wait for. This package's own threads (`kernels/lazy.py`) sleep at once.
"""

from __future__ import annotations

import os
import sys

ROUNDS = 3000  # 65 us where it was measured: longer than most gaps between two steps of PyTorch
CHOICES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")  # by which a user may have chosen


def wait_briefly() -> bool:
    """Shorten that loop for this process and those it starts; results are not changed by it.

    The setting is read when PyTorch is loaded: whoever imports torch before privhead_nb, and wants
    it, sets GOMP_SPINCOUNT before Python starts. It is GNU's, so it has no effect on macOS and
    Windows.

    Returns:
        Whether it was set; not where a user has chosen, or PyTorch is there already.
    """
    if "torch" in sys.modules or any(name in os.environ for name in CHOICES):
        return False
    os.environ["GOMP_SPINCOUNT"] = str(ROUNDS)
    return True
