"""Claims about panels: a pure function, its controls, its state, and its twin without a kernel."""

from __future__ import annotations

import asyncio
import html
import subprocess
import sys
from base64 import b64decode
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from privhead_nb.teach import widgets
from privhead_nb.teach.lesson11 import kernel_plots, roofline
from privhead_nb.teach.widgets import View, choice, panel, twin, whole

GPU = roofline.H200
CORES = roofline.Machine("2 CPU cores", bytes_s=1e10, flop_s=4e10, launch_s=2e-6)


def square(side: int) -> View:
    """A picture that shows its setting as its grey level."""
    if side < 0:
        raise ValueError(f"side must not be <negative>, got {side}")
    figure = Figure(figsize=(1, 1), dpi=20, facecolor=str(side / 10))
    return View(figure, f'a "{side}" square', f"side {side}")


def parts(box: Any) -> tuple[list[Any], Any, Any]:
    controls, state, picture = box.children
    return list(controls.children), state, picture


def pixel(picture: Any) -> int:
    """The grey level of a panel's picture."""
    data = picture.value.split("base64,")[1].split('"')[0]
    return int(np.asarray(Image.open(BytesIO(b64decode(data))))[0, 0, 0])


def test_a_control_changes_the_picture_and_the_facts() -> None:
    controls, state, picture = parts(panel(square, {"side": whole("side", 0, 9, 1, 2)}))
    assert pixel(picture) == 51 and "side 2" in state.value
    controls[0].value = 8
    assert pixel(picture) == 204 and "side 8" in state.value


def test_the_picture_has_an_alternative_text_that_follows_and_is_escaped() -> None:
    controls, _, picture = parts(panel(square, {"side": choice("side", [1, 2])}))
    controls[0].value = 2
    assert f'alt="{html.escape(chr(34) + "2" + chr(34))}' not in picture.value
    assert 'alt="a &quot;2&quot; square"' in picture.value


def test_the_state_says_computing_first_and_is_announced() -> None:
    controls, state, _ = parts(panel(square, {"side": whole("side", 0, 9, 1, 2)}))
    said: list[str] = []
    state.observe(lambda change: said.append(change.new), names="value")
    controls[0].value = 3
    assert [widgets.COMPUTING in words for words in said] == [True, False]
    assert all('role="status"' in words for words in said)


def test_an_error_is_shown_in_the_panel_and_the_next_setting_works() -> None:
    controls, state, picture = parts(panel(square, {"side": whole("side", -5, 9, 1, 2)}))
    before = picture.value
    controls[0].value = -1
    assert "error: ValueError: side must not be &lt;negative&gt;, got -1" in state.value
    assert 'role="alert"' in state.value and picture.value == before
    controls[0].value = 4
    assert "error" not in state.value and pixel(picture) == 102


def test_an_error_at_the_start_is_shown_too() -> None:
    _, state, picture = parts(panel(square, {"side": whole("side", -5, 9, 1, -3)}))
    assert "got -3" in state.value and picture.value == ""


def test_a_preview_is_shown_while_dragging_and_the_full_picture_once_it_rests() -> None:
    calls: list[tuple[str, int]] = []

    def full(side: int) -> View:
        calls.append(("full", side))
        return square(side)

    def preview(side: int) -> View:
        calls.append(("preview", side))
        return square(side)

    async def drag() -> None:
        controls = parts(panel(full, {"side": whole("side", 0, 9, 1, 2)}, preview=preview))[0]
        for side in (3, 4, 5):
            controls[0].value = side
        assert calls == [("full", 2), ("preview", 3), ("preview", 4), ("preview", 5)]
        await asyncio.sleep(2 * widgets.SETTLE)

    asyncio.run(drag())
    assert calls[4:] == [("full", 5)]  # once, for where the slider came to rest


def test_without_a_loop_the_full_picture_follows_at_once() -> None:
    controls, state, _ = parts(
        panel(square, {"side": whole("side", 0, 9, 1, 2)}, preview=lambda side: square(0))
    )
    controls[0].value = 7
    assert "side 7" in state.value


def test_controls_are_reached_and_moved_by_keyboard() -> None:
    """Those two are: a browser gives their handles focus, and arrow keys move them a step."""
    import ipywidgets

    slider, options = whole("rays", 32, 256, 32, 64), choice("kind", {"one": 1, "two": 2}, 2)
    assert isinstance(slider, ipywidgets.IntSlider) and slider.step == 32 and slider.value == 64
    assert isinstance(options, ipywidgets.SelectionSlider) and options.value == 2
    assert options.label == "two"
    for control in (slider, options):
        assert control.description and not control.disabled and control.continuous_update


def test_a_twin_shows_all_settings_and_tells_them() -> None:
    image = twin(square, [{"side": n} for n in (0, 5, 9)], columns=2)
    pixels = np.asarray(Image.open(BytesIO(image.data)))
    assert pixels.shape == (40, 40, 3)
    corners = [int(pixels[y, x, 0]) for y in (0, 20) for x in (0, 20)]
    assert corners == [0, 128, 230, 255]  # the place that is left over stays white
    assert image.alt == 'a "0" square a "5" square a "9" square'


@pytest.mark.parametrize("function", ["eager", "fused"])
@pytest.mark.parametrize("machine", [GPU, CORES])
def test_the_budget_panel_draws_every_corner_of_its_sliders(
    function: str, machine: roofline.Machine
) -> None:
    for rays, samples in ((256, 32), (4**10, 256)):
        view = kernel_plots.budget(rays, samples, function, machine, 40.0)
        work = roofline.compositing_work(rays, samples, function, 40.0)
        assert f"bound by {roofline.times(work, machine).bound}" in view.facts
        assert str(rays) in view.alt and Image.open(BytesIO(view.png())).size == (800, 310)
        left, right = view.figure.axes
        point = left.lines[-1].get_xydata()[0]
        assert left.get_xlim()[0] < point[0] < left.get_xlim()[1]
        assert left.get_ylim()[0] < point[1] < left.get_ylim()[1]
        assert point[1] <= 1.0001 * min(
            point[0] * machine.bytes_s, machine.flop_s
        )  # no roof broken
        ends = [t.get_position()[0] for t in right.texts]
        assert max(ends) < right.get_xlim()[1]


def test_the_panel_shows_what_the_function_draws() -> None:
    def picture(rays: int) -> View:
        return kernel_plots.budget(rays, 96, "eager", GPU, 40.0)

    controls, _, shown = parts(panel(picture, {"rays": choice("rays", [256, 1024])}))
    controls[0].value = 1024
    data = b64decode(shown.value.split("base64,")[1].split('"')[0])
    assert data == picture(1024).png(quick=True)


@pytest.mark.parametrize(
    ("library", "panel"),
    [
        ("ipywidgets", "from privhead_nb.teach.widgets import whole; whole('rays', 0, 9, 1, 2)"),
        ("plotly", "from privhead_nb.teach.interactive import turning; turning({})"),
    ],
)
def test_without_its_library_a_panel_names_the_extra_in_one_line(library: str, panel: str) -> None:
    hide = f"import sys; sys.modules[{library!r}] = None; "
    shown = (
        "from IPython.core.interactiveshell import InteractiveShell as S; "
        f"S.instance(colors='nocolor').run_cell({panel!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", hide + shown], capture_output=True, text=True, timeout=100
    )
    assert f"{library} is not installed" in done.stdout
    assert "pip install 'privhead-nb[notebooks]'" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert len(done.stdout.strip().splitlines()) == 1
