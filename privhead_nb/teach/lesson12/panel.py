"""Lesson 12's panel: what the cut makes of noise on one code, and how far an average leads."""

from __future__ import annotations

from typing import Any

import numpy as np

from privhead_nb.teach import widgets
from privhead_nb.teach.lesson12.checks import cut, moments
from privhead_nb.teach.widgets import View
from privhead_nb.viz.style import BLUE, VERMILLION, curves, grid

SETTING: dict[str, Any] = {"code": 0.8, "scale": 0.4, "releases": 10}
"""Where the panel starts."""
TWIN: list[dict[str, Any]] = [
    SETTING | {"code": 0.0},
    SETTING,
    SETTING | {"scale": 1.6},
    SETTING | {"scale": 1.6, "releases": 100},
]
PLACES = np.linspace(-1, 1, 401)
WORLDS = 2000
"""How often an attacker tries, for the mean error."""


def errors(code: float, scale: float, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Root mean square error (most,) of a mean of 1, 2, ... releases, and of that undone."""
    noise = np.random.default_rng(12).normal(size=(WORLDS, most))
    count = np.arange(1, most + 1)
    mean = np.cumsum(cut(code + scale * noise), axis=1) / count
    back = np.interp(mean, moments(PLACES, scale)[0], PLACES)
    plain, undone = (np.sqrt(((x - code) ** 2).mean(0)) for x in (mean, back))
    return plain, undone


def picture(code: float, scale: float, releases: int) -> View:
    """Where releases of a code lie, and an attacker's error over their number.

    Args:
        code: in [-1, 1].
        scale: of the noise.
        releases: how many the attacker has.
    """
    mean, variance = (float(m[0]) for m in moments(np.array([code]), scale))
    noise = np.random.default_rng(0).normal(size=20_000)
    figure, axes = grid(1, 2, width=8, height=2.9)
    left, right = axes[0]
    left.hist(cut(code + scale * noise), bins=41, range=(-1.025, 1.025), color="0.7", density=True)
    left.axvline(code, color=BLUE, lw=2, label="code")
    left.axvline(mean, color=VERMILLION, lw=2, ls="--", label="mean of releases")
    left.set(xlim=(-1.1, 1.1), xlabel="released code", ylabel="share, per unit")
    left.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=2, frameon=False)
    count = np.arange(1, releases + 1)
    plain, undone = errors(code, scale, releases)
    theory = np.sqrt((mean - code) ** 2 + variance / count)
    series = {"mean of k": plain, "cut undone": undone, "theory of the mean": theory}
    curves(right, count, series, xlabel="releases k", ylabel="error, root mean square")
    right.set(ylim=(0, 1.05 * max(float(heights.max()) for heights in series.values())))
    facts = (
        f"spread {variance**0.5:.2f} instead of {scale:.2f}; mean {mean:.2f} of a code {code:.2f}; "
        f"after {releases} the mean is off by {plain[-1]:.2f}, the cut undone by {undone[-1]:.2f}"
    )
    alt = (
        f"Histogram of releases of the code {code:.2f} under noise of {scale:.2f}, with piles at "
        f"the edges where it reaches them, beside an attacker's error over 1 to {releases} "
        f"releases: {facts}."
    )
    return View(figure, alt, facts)


def controls() -> dict[str, Any]:
    """The code, the noise, and how many releases there are."""
    return {
        "code": widgets.real("code", -1.0, 1.0, 0.1, SETTING["code"]),
        "scale": widgets.real("scale", 0.1, 2.0, 0.1, SETTING["scale"]),
        "releases": widgets.choice("releases", (2, 5, 10, 30, 100), SETTING["releases"]),
    }
