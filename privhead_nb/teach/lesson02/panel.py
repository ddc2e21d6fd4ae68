"""Lesson 02's panel: what beta, the angle and the samples make of a surface that a ray meets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from privhead_nb.field.density import laplace_density
from privhead_nb.teach import widgets
from privhead_nb.teach.lesson02 import laplace
from privhead_nb.viz.style import BLUE, ORANGE, VERMILLION, grid

LENGTH = 60.0  # mm of ray
COLOURS = {"VolSDF": BLUE, "NeuS": VERMILLION}
TWIN: list[dict[str, Any]] = [
    {"beta": beta, "angle": angle, "samples": 48, "hit": 30.0, "form": form}
    for beta, angle, form in (
        (2.0, 0, "VolSDF"), (0.5, 0, "VolSDF"), (2.0, 75, "VolSDF"), (2.0, 75, "NeuS"),
    )
]  # fmt: skip


def picture(beta: float, angle: int, samples: int, hit: float, form: str) -> widgets.View:
    """A ray of 60 mm that meets a surface: its density, and the weights of its samples.

    Args:
        beta: mm.
        angle: between the ray and the normal, degrees.
        samples: even ones over the ray.
        hit: where it meets the surface, mm from its start.
        form: "VolSDF" or "NeuS".
    """
    cosine, spacing = math.cos(math.radians(angle)), LENGTH / samples
    t = torch.linspace(0, LENGTH, 301, dtype=torch.float64)
    f = (hit - t) * cosine
    if form == "NeuS":  # its opaque density: the logistic density over its CDF
        density = torch.sigmoid(-f / beta) * cosine
    else:
        density = laplace_density(f, beta) * beta
    hump = np.gradient(laplace.stopped_on_ray(-f, hit, beta, cosine, form), t)
    places = (torch.arange(samples, dtype=torch.float64) + 0.5) * spacing
    sdf = (hit - places) * cosine
    weights = laplace.sampled_weights(sdf, spacing, beta, form)

    figure, ((left, right),) = grid(1, 2, width=8, height=3)
    left.plot(t, density, color=COLOURS[form], lw=1.8, label="density x beta")
    left.plot(t, f / 40, color="0.35", lw=1.2, ls="--", label="f / 40 mm")
    left.legend(fontsize=8, frameon=False, loc="lower left")
    left.set_title(f"{form}, beta {beta:g} mm, {angle} degrees", fontsize=10)
    left.set(ylim=(-1.05, 1.15))
    right.fill_between(t, hump, color=COLOURS[form], alpha=0.25, lw=0)
    right.vlines(places, 0, weights / spacing, color="black", lw=1)
    right.plot(places, weights / spacing, "o", color="black", ms=3.5)
    right.set(ylim=(0, None), ylabel="light stopped a mm of ray")
    for ax in (left, right):
        ax.axvline(hit, color=ORANGE, lw=1.4, ls=":")
        ax.set(xlim=(0, LENGTH), xlabel="mm along the ray")

    exact, middle = laplace.exactly(beta, angle, hit, form)
    seen, total = float(weights[sdf.abs() <= 1].sum()), float(weights.sum())
    off = float((weights * (places - hit)).sum() / max(total, 1e-6))
    facts = (
        f"within 1 mm of the surface stops {exact:.0%} of the light, {seen:.0%} by these "
        f"samples; half of it has stopped {abs(middle):.2f} mm "
        f"{'behind' if middle > 0 else 'in front of'} it; mean depth of the samples: {off:+.1f} mm"
    )
    alt = (
        f"A ray at {angle} degrees meets a surface of beta {beta:g} mm ({form}). Left, f falls "
        f"through zero at the surface and the density rises there. Right, a hump of stopped light "
        f"and the weights of {samples} samples; {exact:.0%} of the hump lies within 1 mm."
    )
    return widgets.View(figure, alt, facts)


def controls() -> dict[str, Any]:
    """Beta, the angle to the normal, samples, the place of the hit, and the form."""
    return {
        "beta": widgets.choice("beta [mm]", [8.0, 4.0, 2.0, 1.0, 0.5, 0.25], 2.0),
        "angle": widgets.whole("angle [deg]", 0, 80, 5, 0),
        "samples": widgets.choice("samples", [12, 24, 48, 96, 192], 48),
        "hit": widgets.real("hit at [mm]", 20.0, 40.0, 0.25, 30.0),
        "form": widgets.choice("form", list(laplace.FORMS)),
    }
