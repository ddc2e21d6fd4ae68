"""What a panel draws once, and what it lays over it."""

from __future__ import annotations

import gc
from io import BytesIO

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from PIL import Image

from privhead_nb.teach import widgets
from privhead_nb.teach.backdrop import Backdrop, number_heights, round_numbers
from privhead_nb.teach.widgets import View


def framed(lines: bool = False) -> Figure:
    figure = Figure(figsize=(4, 2), dpi=100)
    left, right = figure.add_axes((0.1, 0.2, 0.35, 0.7)), figure.add_axes((0.6, 0.2, 0.35, 0.7))
    left.set(xlim=(0, 60), ylim=(-1, 1), xlabel="mm", title="one")
    right.set(xscale="log", xlim=(1e-3, 10), ylim=(3, 0))
    right.spines[["top", "right"]].set_visible(False)
    if lines:
        draw(left, right)
    return figure


def draw(left, right) -> None:  # type: ignore[no-untyped-def]
    left.plot([0, 60], [-0.5, 0.5], color="black")
    right.plot([0.01, 1], [1, 2], "o", color="black")


def pixels(figure: Figure) -> np.ndarray:
    data = BytesIO()
    figure.savefig(data, format="png")
    return np.asarray(Image.open(data).convert("L")).astype(float)


def test_over_a_backdrop_is_what_a_whole_figure_shows() -> None:
    figure, (left, right) = Backdrop.of(framed()).copy()
    assert left.get_xlim() == (0, 60) and right.get_ylim() == (3, 0)
    assert right.get_xscale() == "log"
    draw(left, right)
    off = np.abs(pixels(figure) - pixels(framed(lines=True)))
    assert off.max() < 64 and (off > 8).mean() < 0.03  # edges of the frame at most


def test_a_backdrop_is_not_drawn_into() -> None:
    kept = Backdrop.of(framed())
    before = kept.pixels.copy()
    for _ in range(2):
        figure, (left, right) = kept.copy()
        draw(left, right)
        shown = pixels(figure)
    assert np.array_equal(kept.pixels, before)
    assert (pixels(kept.copy()[0]) > shown).sum() > 100


@pytest.mark.parametrize(
    ("ends", "names"),
    [
        ((0, 0.18), ["0.00", "0.05", "0.10", "0.15"]),
        ((0, 2), ["0.0", "0.5", "1.0", "1.5", "2.0"]),
        ((-14, 14), ["\N{MINUS SIGN}10", "0", "10"]),
        ((0, 5.5), ["0", "2", "4"]),
    ],
)
def test_round_numbers(ends: tuple[float, float], names: list[str]) -> None:
    places, found = round_numbers(*ends)
    assert found == names
    assert all(
        float(n.replace("\N{MINUS SIGN}", "-")) == pytest.approx(p)
        for n, p in zip(found, places, strict=True)
    )


@pytest.mark.parametrize("high", np.geomspace(1e-3, 3e3, 23))
def test_round_numbers_are_few_and_inside(high: float) -> None:
    places, names = round_numbers(0, high)
    assert 2 <= len(places) <= 5 and len(set(names)) == len(names)
    assert places[0] == 0 and places[-1] <= high * (1 + 1e-6)


def test_numbers_stand_at_their_heights() -> None:
    _, (left, _) = Backdrop.of(framed()).copy()
    number_heights(left)
    texts = [(t.get_text(), t.xy[1]) for t in left.texts if isinstance(t, Annotation)]
    assert "0.5" in dict(texts) and dict(texts)["0.5"] == pytest.approx(0.5)
    marks = np.asarray(left.lines[0].get_ydata())
    assert marks.tolist() == [y for _, y in texts]


def test_a_redraw_leaves_no_garbage_and_the_collector_as_it_was() -> None:
    def compute(size: int) -> View:
        assert not gc.isenabled()
        return View(framed(), "two empty axes", f"size {size}")

    shown, facts = widgets.redraw(compute, {"size": 3})
    assert facts == "size 3" and "two empty axes" in shown and gc.isenabled()
    assert not [o for o in gc.get_objects(0) if isinstance(o, Figure)]

    def broken() -> View:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        widgets.redraw(broken, {})
    assert gc.isenabled()
    gc.disable()
    try:
        widgets.redraw(lambda: View(framed(), "an alt"), {})
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_quick_picture_is_the_same_picture() -> None:
    view = View(framed(lines=True), "alt")
    slow, quick = (np.asarray(Image.open(BytesIO(view.png(quick=q)))) for q in (False, True))
    assert np.array_equal(slow, quick)
