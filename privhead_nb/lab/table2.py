"""Table 2 of the paper (AAAI): who is recognised in which kind of picture, and what it can tell.

Seven recognisers were asked whether a picture shows the person that it shows, in five image
conditions, on about 31 pairs each. `SmallSample` says what such a rate can tell. Our own figures
are made by `benchmarks/studies/tables.py`; lessons read them by the names that stand here.
"""

from __future__ import annotations

from dataclasses import dataclass

from privhead_nb.lab.intervals import exact_interval, wilson_interval

IMAGE_CONDITIONS = (
    "original",
    "protected",
    "rendered mesh",
    "our rendering",
    "full-RGB rendering",
)
SWAP_SOURCES = (
    "original",
    "full-RGB rendering",
    "our rendering",
    "protected",
    "the actor's own",
)
"""What a face swap has of its target; the last is a null control."""
SWAP_TOOLS = ("pair", "prior, injected", "prior, adapted")

PAPER_TABLE_2: dict[str, tuple[float, ...]] = {
    "VGG-Face": (93.75, 6.51, 3.03, 43.74, 84.62),
    "Facenet": (96.88, 9.68, 18.18, 31.23, 81.52),
    "Facenet512": (96.87, 3.23, 3.20, 18.77, 79.27),
    "ArcFace": (90.63, 6.66, 6.46, 31.25, 79.23),
    "Dlib": (93.75, 3.17, 1.77, 37.50, 71.57),
    "SFace": (84.38, 6.45, 9.14, 43.71, 73.35),
    "GhostFaceNet": (85.42, 6.62, 1.04, 31.44, 73.92),
}
"""Percent called the same person, in the order of IMAGE_CONDITIONS."""


@dataclass(frozen=True)
class SmallSample:
    """What `successes` of `trials` can tell about a rate: 95 % intervals."""

    successes: int
    trials: int

    @property
    def wilson(self) -> tuple[float, float]:
        """Wilson's; 2 of 31 is 1.8 to 20.7 %."""
        return wilson_interval(self.successes, self.trials)

    @property
    def exact(self) -> tuple[float, float]:
        """Clopper and Pearson's; 2 of 31 is 0.8 to 21.4 %."""
        return exact_interval(self.successes, self.trials)


def counts_that_give(percent: float, most: int = 40, digits: int = 2) -> list[SmallSample]:
    """All k of n, n up to `most`, that print as `percent` when rounded or cut to `digits`.

    93.75 is 15 of 16 or 30 of 32. A figure that no small n gives was averaged, or misprinted.
    """
    unit = 10.0**digits
    found = []
    for n in range(1, most + 1):
        for k in {int(percent * n / 100), int(percent * n / 100) + 1}:
            exact = 100.0 * k / n
            if k <= n and percent in (round(exact, digits), int(exact * unit + 1e-9) / unit):
                found.append(SmallSample(k, n))
    return found
