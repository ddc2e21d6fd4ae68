"""Pictures of lesson 00: the trust boundary, what the modulus forgets, a view, the course's map."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from privhead_nb.geometry.mesh import Mesh
from privhead_nb.scenes.camera import axis_vector
from privhead_nb.teach.widgets import View
from privhead_nb.viz.shading import shaded_normals
from privhead_nb.viz.style import NEUTRAL, SENSITIVE, grid, image, images, modulus_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from privhead_nb.privacy.operators import Operator
    from privhead_nb.privacy.release import Release
    from privhead_nb.scenes.scene import Scene

SIDES = ("your device", "everyone else")
BOUNDARY = 0.42  # where the wall stands, as a share of the figure's width
_BOX = {"boxstyle": "round", "facecolor": "white", "edgecolor": "black"}

# Number -> title, place on the map (column, row; row 0 above), and the lessons that it builds on.
LESSONS: dict[str, tuple[str, tuple[float, float], tuple[str, ...]]] = {
    "00": ("Start here", (0, 1.5), ()),
    "01": ("Volume\nrendering", (1, 1), ("00",)),
    "02": ("SDF and\neikonal", (2, 1), ("01",)),
    "03": ("Protecting\noperators", (1, 2), ("00",)),
    "04": ("Gradient\nloss", (2, 2), ("01", "03")),
    "05": ("Two\nstages", (3, 1.5), ("02", "04")),
    "06": ("Irreversibility", (2, 3), ("03",)),
    "07": ("Lipschitz\nablation", (4, 0.5), ("05",)),
    "08": ("Templates,\nfew views", (4, 1.5), ("05",)),
    "09": ("Recognition", (3, 3), ("06",)),
    "10": ("Appearance\ntransfer", (4, 2.5), ("05",)),
    "11": ("GPU\nkernels", (2, 0), ("01",)),
    "12": ("IDeudemon", (4, 3.4), ("09",)),
    "13": ("One person,\nall views", (4, 4.3), ("09",)),
    "14": ("G2Face", (4, 5.2), ("09",)),
    "16": ("Your own\nhead", (4, -0.5), ("05",)),
}


def trust_boundary(scene: Scene, release: Release, mesh: Mesh) -> Figure:
    """Left of the wall: the owner's photos and `protect`. Right: the release and what it gives."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), dpi=110)
    sensitive = _facing(scene, scene.sensitive, 1.0)
    neutral = _facing(scene, scene.neutral, -1.0)
    for i, (s, n) in enumerate(zip(sensitive, neutral, strict=True)):
        photo = scene.images[scene.sensitive[s]].numpy()
        plain = scene.images[scene.neutral[n]].numpy()
        drawing = modulus_picture(release.moduli[s].sqrt().numpy())
        released = release.neutral_images[n].numpy()
        for left, shown, colour, low in (
            (0.03, photo, SENSITIVE, 0.50),
            (0.03, plain, NEUTRAL, 0.14),
            (0.53, drawing, SENSITIVE, 0.50),
            (0.53, released, NEUTRAL, 0.14),
        ):
            ax = figure.add_axes((left + 0.095 * i, low, 0.085, 0.31))
            image(ax, shown)
            ax.spines[:].set(visible=True, color=colour, linewidth=1.8)
    head = shaded_normals(mesh, "three-quarter", 256, up=release.up, front=release.front)
    image(figure.add_axes((0.84, 0.26, 0.16, 0.43)), head)

    page = figure.add_axes((0, 0, 1, 1), xlim=(0, 1), ylim=(0, 1), facecolor="none")
    page.set_axis_off()
    page.plot([BOUNDARY] * 2, [0.04, 0.98], color="black", lw=2.5)
    for start, end in (
        ((0.32, 0.655), (0.525, 0.655)),
        ((0.32, 0.295), (0.525, 0.295)),
        ((0.815, 0.475), (0.855, 0.475)),
    ):
        _arrow(page, start, end)
    usual: dict[str, Any] = {"ha": "center", "va": "center"}
    for x, y, words, look in (
        (0.17, 0.94, "your device", {"fontsize": 11, "weight": "bold"}),
        (0.74, 0.94, "everyone else", {"fontsize": 11, "weight": "bold"}),
        (BOUNDARY, 0.655, " protect ", {"fontsize": 10, "bbox": _BOX}),
        (BOUNDARY, 0.295, " as it is ", {"fontsize": 10, "bbox": _BOX}),
        (0.92, 0.75, "reconstruct", {"fontsize": 10}),
        (0.17, 0.845, "sensitive views: photos of the face", {"color": SENSITIVE}),
        (0.17, 0.075, "neutral views: said to show no face", {"color": NEUTRAL}),
        (0.67, 0.845, "how fast colours change (square root drawn)", {"color": SENSITIVE}),
        (0.67, 0.075, "the same photos", {"color": NEUTRAL}),
    ):
        page.text(x, y, words, **usual | {"fontsize": 9} | look)
    return figure


def forgets(pictures: Mapping[str, Tensor], operator: Operator) -> Figure:
    """Pictures (H, W, 3) above, their moduli below, all moduli on the first one's scale."""
    moduli = [operator.modulus(picture).sqrt().numpy() for picture in pictures.values()]
    top = np.percentile(moduli[0], 99.5)
    rows = [[p.numpy() for p in pictures.values()], [1 - m / top for m in moduli]]
    width = 2.4 * len(pictures)
    return images(rows, list(pictures), ["picture", "modulus (square root)"], width=width)


def view_of(scene: Scene, release: Release, view: int, side: str) -> View:
    """One view of the scene: where its camera stands, and what one side of the wall sees of it.

    Args:
        view: of the scene, 0 to V - 1.
        side: of `SIDES`.
    """
    kind = "sensitive" if view in scene.sensitive else "neutral"
    colour, what = (SENSITIVE if kind == "sensitive" else NEUTRAL), "photo"
    if side == SIDES[0]:
        shown = scene.images[view]
    elif kind == "neutral":
        shown = release.neutral_images[scene.neutral.index(view)]
    else:
        shown, what = release.moduli[scene.sensitive.index(view)], "gradient modulus"
    figure, ((left, right),) = grid(1, 2, width=6.6, height=3.2)
    _plan(left, scene, view)
    image(right, shown if shown.ndim == 3 else modulus_picture(shown.sqrt().numpy()))
    right.spines[:].set(visible=True, color=colour, linewidth=3)
    right.set_title(f"view {view}, {kind}: {side}", fontsize=11, color=colour)
    drawn = "as it is" if shown.ndim == 3 else "square root of the modulus"
    right.set_xlabel(drawn, fontsize=9)
    numbers = " x ".join(map(str, shown.shape))
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
    for views, mark, colour in ((scene.sensitive, "^", SENSITIVE), (scene.neutral, "o", NEUTRAL)):
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
    ax.text(0, far * 1.08, "sensitive (triangles)", color=SENSITIVE, ha="center", fontsize=9)
    ax.set(xlim=(-far, far), ylim=(far * 1.1, -far * 1.1), aspect="equal")
    ax.set_axis_off()


def course_map() -> Figure:
    """The lessons as boxes, with an arrow from each that another builds on."""
    figure, ((ax,),) = grid(1, 1, width=10, height=8.4)
    wide = 0.29  # half of a box and a little
    for number, (title, (x, y), needs) in LESSONS.items():
        box = {"boxstyle": "round,pad=0.6", "facecolor": "#E8F1F8", "edgecolor": NEUTRAL, "lw": 1.6}
        words = f"{number}\n{title}" + "\n" * (1 - title.count("\n"))
        ax.text(x, y, words, ha="center", va="center", fontsize=10.5, bbox=box)
        for need in needs:
            x0, y0 = LESSONS[need][1]
            _arrow(ax, (x0 + wide, y0), (x - wide, y))
    ax.set(xlim=(-0.42, 4.42), ylim=(5.6, -0.9))
    ax.set_axis_off()
    return figure


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "lw": 1.5, "color": "0.15"})


def _facing(scene: Scene, views: tuple[int, ...], sign: float) -> list[int]:
    """Places in `views` of the three that look most at the face (sign 1) or at the back (-1)."""
    ahead = scene.cameras.forward.numpy() @ axis_vector(scene.front)
    order = sorted(range(len(views)), key=lambda i: sign * float(ahead[views[i]]))
    return order[:3]
