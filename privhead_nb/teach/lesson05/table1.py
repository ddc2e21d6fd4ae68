"""The paper's Table 1 beside our stored study: stage 1, stage 2 and the full-RGB baseline.

The paper's figures are those of its Table 1 (Kong et al., AAAI 2025), typed head by head, so that
its means can be checked. Ours are read from `benchmarks/results/reconstruction.json`, which
`benchmarks/studies/reconstruction.py` writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from privhead_nb.teach.results import SAME_RUN, frame, pairs, where

if TYPE_CHECKING:
    import pandas as pd

# Rows: stage 1, stage 2, full RGB.
FACESCAPE = (
    (2.7692, 1.7467, 2.8889, 2.3320, 1.7957, 2.6392, 2.2117, 2.1790, 2.9775, 2.0121),
    (0.6998, 0.7176, 0.7645, 0.7137, 0.8382, 0.8289, 0.8294, 0.8556, 0.7798, 0.7965),
    (0.4509, 0.5163, 0.5399, 0.4547, 0.4988, 0.5266, 0.5059, 0.4366, 0.5394, 0.4788),
)
H3DS = (
    (3.8912, 3.9796, 3.508, 4.1967, 3.8524, 3.8205, 5.9922, 6.8757, 4.4531, 5.0861),
    (3.0397, 3.1610, 2.8901, 3.4117, 2.9827, 3.6830, 3.3911, 3.0951, 3.1113, 2.5912),
    (2.7931, 2.2665, 2.3108, 2.5131, 2.607, 2.6912, 3.1767, 2.7124, 2.9878, 2.3938),
)
PRINTED = {"FaceScape": (2.3552, 0.7824, 0.4948), "H3DS": (4.7066, 3.0477, 2.6351)}
"""The means as the paper prints them."""


@dataclass(frozen=True, eq=False)
class Group:
    """Heads measured alike.

    Attributes:
        name: whose, and what they are.
        unit: of the distances.
        runs: a distance for each method and head (or seed), (3, heads).
        normals: the same in degrees; None where nobody measured any.
    """

    name: str
    unit: str
    runs: NDArray[np.float64]
    normals: NDArray[np.float64] | None = None

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean distance of each method, (3,)."""
        return self.runs.mean(axis=1)

    @property
    def ratio(self) -> float:
        """Stage 2's mean over full RGB's."""
        return float(self.means[1] / self.means[2])

    @property
    def ratios(self) -> NDArray[np.float64]:
        """Stage 2 over full RGB, head by head."""
        return np.asarray(self.runs[1] / self.runs[2])


KEPT_BACK = [str(head) for head in range(301, 306)]
PAPER = (
    Group("paper, FaceScape", "1e-3", np.array(FACESCAPE)),
    Group("paper, H3DS", "mm", np.array(H3DS)),
)


def study() -> pd.DataFrame:
    """The stored runs of the cpu profile with shipped settings, a row each.

    Without the heads that the study keeps back.
    """
    runs = where(frame("reconstruction"), profile="cpu", setting="")
    return runs[~runs["head"].isin(KEPT_BACK)]


def ours(runs: pd.DataFrame) -> tuple[Group, ...]:
    """The made heads and the scan, several seeds each."""
    two, full = where(runs, method="two-stage"), where(runs, method="full-rgb")

    def measured(column: str, of_scan: bool) -> NDArray[np.float64]:
        first = two.set_index(list(SAME_RUN))[f"stage1.{column}"]
        last = pairs(two, full, f"final.{column}").assign(first=first)
        last = last[(last.index.get_level_values("head") == "real") == of_scan]
        return last[["first", "one", "other"]].to_numpy().T

    return tuple(
        Group(name, "mm", measured("distance_mean", scan), measured("normal_median_deg", scan))
        for name, scan in (("ours, made heads", False), ("ours, one scan", True))
    )


def without_stage_1(runs: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Head -> mm without and with stage 1, same seed."""
    lonely, two = where(runs, method="stage-2-only"), where(runs, method="two-stage")
    both = pairs(lonely, two, "final.distance_mean")
    names = {run: "the scan" if run[0] == "real" else f"made head {run[0]}" for run in both.index}
    in_order = lonely.set_index(list(SAME_RUN)).index
    return {names[run]: (both.one[run], both.other[run]) for run in in_order}
