"""Pictures of lesson 00: what the modulus forgets, the panel's views, and the map of the course."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from privhead_nb.teach.lesson00.course import Lesson
from privhead_nb.teach.widgets import View
from privhead_nb.viz.palette import NEUTRAL, SENSITIVE, modulus_picture
from privhead_nb.viz.plots import grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from privhead_nb.privacy.operators import Operator
    from privhead_nb.privacy.released import Release
    from privhead_nb.scenes.scene import Scene

SIDES = ("your device", "everyone else")


def forgets(pictures: Mapping[str, Tensor], operator: Operator) -> Figure:
    """Pictures (H, W, 3) above, their moduli below, all moduli on the first one's scale."""
    figure, axes = grid(2, len(pictures), width=9.5, height=4.9)
    moduli = [operator.modulus(picture).sqrt().numpy() for picture in pictures.values()]
    top = float(np.percentile(moduli[0], 99.5))
    for column, (name, picture) in enumerate(pictures.items()):
        axes[0][column].imshow(picture.clamp(0, 1), interpolation="nearest")
        axes[0][column].set_title(name, fontsize=10)
        axes[1][column].imshow(moduli[column], cmap="gray_r", vmin=0, vmax=top)
        for row in (0, 1):
            _bare(axes[row][column])
    axes[0][0].set_ylabel("picture", fontsize=10)
    axes[1][0].set_ylabel("modulus", fontsize=10)
    return figure


def view_of(scene: Scene, release: Release, view: int, side: str) -> View:
    """One view of the scene: where its camera stands, and what one side of the wall sees of it.

    A panel redraws it while a slider moves, so its axes are placed by hand, which is quicker.

    Args:
        view: of the scene, 0 to V - 1.
        side: of `SIDES`.
    """
    from matplotlib.figure import Figure

    kind = "sensitive" if view in scene.sensitive else "neutral"
    colour = SENSITIVE if kind == "sensitive" else NEUTRAL
    figure = Figure(figsize=(6.6, 3.2), dpi=90)
    _plan(figure.add_axes((0.02, 0.03, 0.42, 0.86)), scene, view)
    ax = figure.add_axes((0.5, 0.03, 0.48, 0.86))
    numbers = "64 x 64 x 3 numbers"
    if side == SIDES[0]:
        ax.imshow(scene.images[view].numpy(), interpolation="nearest")
        numbers = " x ".join(map(str, scene.images[view].shape))
    elif kind == "neutral":
        shown = release.neutral_images[scene.neutral.index(view)]
        ax.imshow(shown.numpy(), interpolation="nearest")
        numbers = " x ".join(map(str, shown.shape))
    else:
        shown = release.moduli[scene.sensitive.index(view)]
        ax.imshow(modulus_picture(shown.sqrt().numpy()), interpolation="nearest")
        numbers = " x ".join(map(str, shown.shape))
    _bare(ax)
    for edge in ax.spines.values():
        edge.set(color=colour, linewidth=3)
    # a title that is told its height does not look for room above all that is drawn
    ax.set_title(f"view {view}, {kind}: {side}", fontsize=11, color=colour, y=1.0)
    what = "photo" if side == SIDES[0] or kind == "neutral" else "gradient modulus"
    facts = f"view {view} is {kind}; {side} has its {what}: {numbers} numbers"
    alt = (
        f"Left a plan of the cameras around the head from above, with camera {view} marked. Right "
        f"the {what} of that {kind} view, which {side} has."
    )
    return View(figure, alt, facts)


def _plan(ax: Axes, scene: Scene, view: int) -> None:
    """Cameras from above: sensitive ones are triangles, neutral ones circles, the nose is below."""
    eyes = scene.cameras.c2w[:, :3, 3].numpy() - np.asarray(scene.center)
    far = 1.25 * float(np.abs(eyes[:, [0, 2]]).max())
    for views, mark, colour in (
        (scene.sensitive, "^", SENSITIVE),
        (scene.neutral, "o", NEUTRAL),
    ):
        at = eyes[list(views)]
        ax.plot(at[:, 0], at[:, 2], mark, color=colour, ms=7)
    turn = np.linspace(0, 2 * np.pi, 40)
    size = 1.1 * scene.radius  # larger than life, to be seen
    ax.fill(size * np.sin(turn), size * np.cos(turn), color="0.75")
    ax.fill([-0.35 * size, 0.35 * size, 0], [0.9 * size, 0.9 * size, 1.45 * size], color="0.75")
    here = eyes[view]
    ax.plot([0, here[0]], [0, here[2]], color="black", lw=1)
    ax.plot(here[0], here[2], "s", mfc="none", mec="black", ms=15, mew=2)
    ax.text(0, -far * 0.98, "neutral (circles)", color=NEUTRAL, ha="center", va="top", fontsize=9)
    ax.text(0, far * 0.98, "sensitive (triangles)", color=SENSITIVE, ha="center", fontsize=9)
    ax.set(xlim=(-far, far), ylim=(far * 1.1, -far * 1.1), aspect="equal")
    ax.set_axis_off()


def _bare(ax: Axes) -> None:
    ax.set(xticks=[], yticks=[])


def course_map(lessons: Sequence[Lesson]) -> Figure:
    """Lessons as boxes, from left to right, with an arrow from each that another builds on.

    Those that are still to come have a dashed border.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    figure = Figure(figsize=(10, 5.2), dpi=100)
    ax = figure.add_axes((0.005, 0.01, 0.99, 0.98))
    wide, high = 0.72, 0.62
    at = {lesson.number: lesson.place for lesson in lessons}
    for lesson in lessons:
        x, y = lesson.place
        dash: Any = "-" if lesson.written else (0, (3, 2))
        ax.add_patch(
            FancyBboxPatch(
                (x - wide / 2, y - high / 2), wide, high, boxstyle="round,pad=0.02",
                facecolor="#E8F1F8" if lesson.written else "white",
                edgecolor=NEUTRAL if lesson.written else "0.45", linestyle=dash, lw=1.6,
            )
        )  # fmt: skip
        ax.text(x, y - 0.2, lesson.number, ha="center", va="center", fontsize=11, weight="bold")
        words = lesson.title if lesson.written else f"{lesson.title}\n(to come)"
        ax.text(x, y + 0.1, words, ha="center", va="center", fontsize=9.5, linespacing=1.0)
        for number in lesson.needs:
            x0, y0 = at[number]
            ax.annotate(
                "", (x - wide / 2 - 0.03, y), (x0 + wide / 2 + 0.03, y0),
                arrowprops={"arrowstyle": "-|>", "lw": 1.3, "color": "0.25"},
            )  # fmt: skip
    ax.set(xlim=(-0.42, 4.42), ylim=(3.4, -0.4))
    ax.set_axis_off()
    return figure
