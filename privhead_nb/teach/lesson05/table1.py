"""The paper's Table 1 beside our stored study: stage 1, stage 2 and the full-RGB baseline.

The paper's figures are those of its Table 1 (Kong et al., AAAI 2025), typed head by head, so that
its means can be checked. Ours are read from `benchmarks/results/reconstruction.json`, which
`benchmarks/studies/reconstruction.py` writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from privhead_nb.resources import RESULTS

METHODS = ("stage 1", "stage 2", "full RGB")
Study = Mapping[str, Mapping[str, Any]]

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
WITHOUT_STAGE_1 = (27.65, 0.84)
"""Without and with stage 1, from the paper's appendix: one head, the unit is not given."""


@dataclass(frozen=True)
class Group:
    """Heads measured alike.

    Attributes:
        name: whose, and what they are.
        unit: of the distances.
        runs: a distance for each method and head (or seed), three tuples of one length.
        normals: the same in degrees; empty where nobody measured any.
    """

    name: str
    unit: str
    runs: tuple[tuple[float, ...], ...]
    normals: tuple[tuple[float, ...], ...] = ()

    @property
    def means(self) -> tuple[float, ...]:
        """Mean distance of each method."""
        return tuple(mean(row) for row in self.runs)

    @property
    def ratio(self) -> float:
        """Stage 2's mean over full RGB's."""
        return self.means[1] / self.means[2]

    @property
    def ratios(self) -> list[float]:
        """Stage 2 over full RGB, head by head."""
        return [two / full for _, two, full in zip(*self.runs, strict=True)]

    @property
    def gain(self) -> float:
        """How many times nearer to the truth stage 2 is than stage 1, of means."""
        return self.means[0] / self.means[1]


PAPER = (Group("paper, FaceScape", "1e-3", FACESCAPE), Group("paper, H3DS", "mm", H3DS))


def stored(name: str = "reconstruction") -> dict[str, Any]:
    """A stored study by the name of its file."""
    path = RESULTS / f"{name}.json"
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path.name} in benchmarks/results")
    return dict(json.loads(path.read_text(encoding="utf-8")))


def ours(study: Study) -> tuple[Group, ...]:
    """The made heads (one seed each) and the scan (one head, several seeds) of the cpu profile."""
    shipped = [r for r in study.values() if r["profile"] == "cpu" and not r["setting"]]
    found = []
    for name, heads in (
        ("ours, made heads", sorted({r["head"] for r in shipped} - {"real"})),
        ("ours, one scan", ["real"]),
    ):
        pairs = []
        for head in heads:
            of = {(r["method"], r["seed"]): r for r in shipped if r["head"] == head}
            seeds = sorted({seed for _, seed in of})
            pairs += [
                (of["two-stage", seed], of["full-rgb", seed])
                for seed in seeds
                if {("two-stage", seed), ("full-rgb", seed)} <= set(of)
            ]
        if pairs:
            measured = [(two["stage1"], two["final"], full["final"]) for two, full in pairs]
            found.append(
                Group(name, "mm", _columns(measured, "distance_mean"),
                      _columns(measured, "normal_median_deg"))
            )  # fmt: skip
    return tuple(found)


def _columns(
    measured: Sequence[tuple[Mapping[str, Any], ...]], key: str
) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(r[k][key]) for r in measured) for k in range(3))


def without_stage_1(study: Study) -> dict[str, tuple[float, float]]:
    """Head -> mm without and with stage 1, same seed, cpu profile."""
    found = {}
    for run in study.values():
        if run["method"] == "stage-2-only" and run["profile"] == "cpu":
            name = f"cpu {run['head']} {run['seed']} two-stage"
            pair = (run["final"]["distance_mean"], study[name]["final"]["distance_mean"])
            found["the scan" if run["head"] == "real" else f"made head {run['head']}"] = pair
    return found


def text(groups: Sequence[Group]) -> str:
    """A table to print: mean distances, the ratio, and normals where there are any."""
    lines = [f"{'':<18}{'runs':>5}{'stage 1':>9}{'stage 2':>9}{'full RGB':>10}{'ratio':>7}  unit"]
    for group in groups:
        cells = "".join(f"{m:>{w}.2f}" for m, w in zip(group.means, (9, 9, 10), strict=True))
        lines.append(
            f"{group.name:<18}{len(group.runs[0]):>5}{cells}{group.ratio:>7.2f}  {group.unit}"
        )
        if group.normals:
            angles = [mean(row) for row in group.normals]
            cells = "".join(f"{a:>{w}.1f}" for a, w in zip(angles, (9, 9, 10), strict=True))
            lines.append(f"{'':<23}{cells}{'':>7}  deg")
    return "\n".join(lines)
