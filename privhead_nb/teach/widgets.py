"""Panels: a pure function that makes a picture, and a thin layer of controls around it.

    def picture(rays: int, machine: str) -> View: ...      can be called and tested without a widget

    panel(picture, {"rays": choice("rays", (256, 1024)), "machine": choice("machine", MACHINES)})
    twin(picture, [{"rays": 256, "machine": "laptop"}, ...])     the same for readers with no kernel

Controls are ipywidgets' own and work by mouse and keyboard (Tab, then arrow keys). A line over the
picture says "computing" while it is made, then what it shows, or what went wrong.
"""

from __future__ import annotations

import asyncio
import gc
import html
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from privhead_nb.teach.extras import notebook_library

if TYPE_CHECKING:
    import ipywidgets
    from IPython.display import Image
    from matplotlib.figure import Figure

SETTLE = 0.25  # seconds without a change until a preview gives way to the full picture
COMPUTING = "computing ..."
Compute = Callable[..., "View"]


@dataclass(frozen=True)
class View:
    """What a panel shows.

    Attributes:
        figure: the picture.
        alt: what it shows, for who can't see it.
        facts: one line of numbers over the picture.
    """

    figure: Figure
    alt: str
    facts: str = ""

    def png(self, *, quick: bool = False) -> bytes:
        """The picture as PNG; `quick` writes it in half the time, and a little larger."""
        data = BytesIO()
        packing: dict[str, Any] = {"pil_kwargs": {"compress_level": 1}} if quick else {}
        self.figure.savefig(data, format="png", **packing)
        return data.getvalue()


def choice(
    label: str, options: Sequence[Any] | Mapping[str, Any], value: Any = None
) -> ipywidgets.SelectionSlider:
    """A slider over a few settings, by values or by name -> value."""
    ipywidgets = notebook_library("ipywidgets")
    pairs = list(options.items()) if isinstance(options, Mapping) else list(options)
    first = pairs[0][1] if isinstance(options, Mapping) else pairs[0]
    return ipywidgets.SelectionSlider(
        description=label, options=pairs, value=first if value is None else value, **_WIDE
    )


def whole(label: str, low: int, high: int, step: int, value: int) -> ipywidgets.IntSlider:
    """A slider over whole numbers."""
    ipywidgets = notebook_library("ipywidgets")
    return ipywidgets.IntSlider(
        description=label, min=low, max=high, step=step, value=value, **_WIDE
    )


def real(label: str, low: float, high: float, step: float, value: float) -> ipywidgets.FloatSlider:
    """A slider over numbers."""
    ipywidgets = notebook_library("ipywidgets")
    return ipywidgets.FloatSlider(
        description=label, min=low, max=high, step=step, value=value, readout_format=".3g", **_WIDE
    )


def tick(label: str, value: bool = False) -> ipywidgets.Checkbox:
    """A box to tick; the space bar does it, too."""
    ipywidgets = notebook_library("ipywidgets")
    return ipywidgets.Checkbox(description=label, value=value, indent=False)


def values_of(control: Any) -> list[Any]:
    """All values that a control can take, in order."""
    if hasattr(control, "options"):
        return [o[1] if isinstance(o, tuple) else o for o in control.options]
    if hasattr(control, "min"):
        count = round((control.max - control.min) / control.step)
        return [control.min + i * control.step for i in range(count + 1)]
    return [False, True]


_WIDE: dict[str, Any] = {
    "style": {"description_width": "110px"},
    "layout": {"width": "420px", "max_width": "100%"},
}


def panel(
    compute: Compute,
    controls: Mapping[str, ipywidgets.ValueWidget],
    *,
    preview: Compute | None = None,
) -> ipywidgets.VBox:
    """Controls, a line of state and a picture.

    Args:
        compute: called with the controls' values by their names; under 100 ms, or with a `preview`.
        controls: by the name of the argument that they set.
        preview: a quick form of `compute`, shown while a slider moves; the full picture follows
            when it rests.

    Returns:
        A box of (box of controls, state, picture); an error of `compute` is shown as the state.
    """
    ipywidgets = notebook_library("ipywidgets")
    state, picture = ipywidgets.HTML(), ipywidgets.HTML()
    pending: list[asyncio.TimerHandle] = []

    def draw(function: Compute, *, quick: bool = True) -> None:
        state.value = _state(COMPUTING)
        try:
            setting = {name: control.value for name, control in controls.items()}
            picture.value, facts = redraw(function, setting, quick=quick)
            state.value = _state(facts or "done")
        except Exception as error:  # shown where the reader looks, whatever it is
            state.value = _state(f"error: {type(error).__name__}: {error}", "alert")

    def changed(_: object) -> None:
        if preview is None:
            draw(compute)
            return
        draw(preview)
        while pending:
            pending.pop().cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel runs this: nothing to wait for
            draw(compute)
        else:
            pending.append(loop.call_later(SETTLE, draw, compute))

    for control in controls.values():
        control.observe(changed, names="value")
    draw(compute, quick=False)  # what a notebook stores
    return ipywidgets.VBox([ipywidgets.VBox(list(controls.values())), state, picture])


def redraw(compute: Compute, setting: Mapping[str, Any], *, quick: bool = True) -> tuple[str, str]:
    """What a panel shows of one setting: the picture as HTML, and its facts.

    A figure is thousands of objects that know each other. Were garbage collected while they are
    made, it would be collected several times, and now and then through all that the session holds,
    for near half a second. So the collector waits until the figure is gone, and then looks at what
    is new only.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        return _shown(compute, setting, quick)
    finally:
        if was_on:
            gc.enable()
            gc.collect(0)


def _shown(compute: Compute, setting: Mapping[str, Any], quick: bool) -> tuple[str, str]:
    view = compute(**setting)
    return _img(view, quick), view.facts


def twin(compute: Compute, settings: Sequence[Mapping[str, Any]], *, columns: int = 2) -> Image:
    """The pictures of a few settings side by side, for the last line of a notebook cell."""
    import numpy as np
    from IPython.display import Image
    from PIL import Image as Pillow

    views = [compute(**setting) for setting in settings]
    tiles = [np.asarray(Pillow.open(BytesIO(v.png())).convert("RGB")) for v in views]
    blank = np.full_like(tiles[0], 255)
    tiles += [blank] * (-len(tiles) % columns)
    rows = [np.hstack(tiles[i : i + columns]) for i in range(0, len(tiles), columns)]
    data = BytesIO()
    Pillow.fromarray(np.vstack(rows)).save(data, format="png", optimize=True)
    kept: dict[str, Any] = {"alt": " ".join(v.alt for v in views)}
    return Image(data=data.getvalue(), format="png", **kept)


def _img(view: View, quick: bool) -> str:
    data = b64encode(view.png(quick=quick)).decode()
    alt = html.escape(view.alt, quote=True)
    return f'<img alt="{alt}" style="max-width: 100%" src="data:image/png;base64,{data}">'


def _state(words: str, role: str = "status") -> str:
    """A line that screen readers announce; an error is marked by more than a colour."""
    style = "font-weight: bold" if role == "alert" else ""
    return f'<div role="{role}" style="min-height: 1.5em; {style}">{html.escape(words)}</div>'
