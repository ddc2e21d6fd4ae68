"""Claims about panels: a pure function, its controls in a kernel, and its twin without one."""

from __future__ import annotations

import re
from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest
from answers import panels
from command import python
from matplotlib.figure import Figure
from PIL import Image

from privhead_nb.teach.widgets import View, choice, real, tick, twin, values_of, whole

PANELS = panels()
CELLS = [
    """
from matplotlib.figure import Figure
from privhead_nb.teach.widgets import View, choice, panel, whole

def square(side, kind):
    if side == 7:
        raise ValueError("side must not be <seven>")
    figure = Figure(figsize=(1, 1), dpi=20, facecolor=str(side / 10))
    return View(figure, f'a "{side}" square', f"side {side} & {kind}")

shown = panel(square, {"side": whole("side", 0, 9, 1, 2), "kind": choice("kind", ["a", "b"])})
side, kind = shown.children[0].children
shown""",
    "side.value = 8; kind.value = 'b'",
    "side.value = 7",
    "side.value = 4",
]


@pytest.fixture(scope="module")
def said() -> list[str]:
    """What a panel in a kernel shows after each of CELLS."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    client, found = NotebookClient(notebook, timeout=60, kernel_name="python3"), []
    with client.setup_kernel():
        for number, cell in enumerate(notebook.cells):
            client.execute_cell(cell, number)
            (state,) = [s for s in client.widget_state.values() if "outputs" in s]
            (output,) = state["outputs"]
            found.append(output["data"]["text/html"])
    return found


def grey(shown: str) -> int:
    """The grey level of a panel's picture."""
    data = shown.split("base64,")[1].split('"')[0]
    return int(np.asarray(Image.open(BytesIO(b64decode(data))))[0, 0, 0])


def test_a_control_changes_picture_facts_and_alternative_text_and_an_error_is_shown(said):
    """All of it is escaped, and after an error the next setting works."""
    for shown, side, level in ((said[0], 2, 51), (said[1], 8, 204), (said[3], 4, 102)):
        assert grey(shown) == level and 'role="status"' in shown and "alert" not in shown
        assert f'alt="a &quot;{side}&quot; square"' in shown
    assert "side 2 &amp; a" in said[0] and "side 8 &amp; b" in said[1]
    assert "error: ValueError: side must not be &lt;seven&gt;" in said[2]
    assert 'role="alert"' in said[2] and "<img" not in said[2]


def test_values_that_a_control_can_take():
    assert values_of(whole("n", 2, 8, 3, 2)) == [2, 5, 8]
    assert values_of(real("x", 0.0, 1.0, 0.25, 0.5)) == [0, 0.25, 0.5, 0.75, 1.0]
    assert values_of(choice("kind", {"one": 1, "two": 2})) == [1, 2]
    assert values_of(choice("kind", ["a", "b"])) == ["a", "b"]
    assert values_of(tick("on")) == [False, True]


def test_a_twin_shows_all_settings_and_tells_them():
    def square(side: int) -> View:
        figure = Figure(figsize=(1, 1), dpi=20, facecolor=str(side / 10))
        return View(figure, f'a "{side}" square')

    image = twin(square, [{"side": n} for n in (0, 5, 9)])
    pixels = np.asarray(Image.open(BytesIO(image.data)).convert("RGB"))
    assert pixels.shape == (60, 20, 3)
    assert [int(pixels[y, 0, 0]) for y in (0, 20, 40)] == [0, 128, 230]
    assert image.alt == 'a "0" square a "5" square a "9" square'


@pytest.mark.parametrize("lesson", PANELS)
def test_a_lessons_panel_draws_at_the_ends_of_its_controls(lesson):
    """Each control at its first and its last value, the others at rest; labels tell them apart."""
    module = PANELS[lesson]
    controls = module.controls()
    rest = {name: control.value for name, control in controls.items()}
    labels = [control.description for control in controls.values()]
    assert all(labels) and len(set(labels)) == len(labels)
    ends = [rest | {n: values_of(control)[k]} for n, control in controls.items() for k in (0, -1)]
    for number, setting in enumerate(ends):
        if setting not in ends[:number]:
            view = module.picture(**setting)
            assert isinstance(view, View) and len(view.alt) > 30 and view.facts
            assert len(view.png()) > 1000 and not re.search(r"\bnan\b", view.facts)
    assert len(module.TWIN) >= 2
    for setting in module.TWIN:  # sets what the panel sets
        assert set(setting) <= set(controls)
        for name, value in setting.items():
            assert any(value == v or value == pytest.approx(v) for v in values_of(controls[name]))


@pytest.mark.parametrize(
    ("library", "panel"),
    [
        ("ipywidgets", "from privhead_nb.teach.widgets import whole; whole('rays', 0, 9, 1, 2)"),
        ("plotly", "from privhead_nb.teach.interactive import turning; turning({})"),
    ],
)
def test_without_its_library_a_panel_names_the_extra_in_one_line(library, panel):
    hide = f"import sys; sys.modules[{library!r}] = None; "
    shown = (
        "from IPython.core.interactiveshell import InteractiveShell as S; "
        f"S.instance(colors='nocolor').run_cell({panel!r})"
    )
    done = python(hide + shown, check=False)
    assert f"{library} is not installed" in done.stdout
    assert "pip install 'privhead-nb[notebooks]'" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert len(done.stdout.strip().splitlines()) == 1
