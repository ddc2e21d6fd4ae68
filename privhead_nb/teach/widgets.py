"""Panels: a pure function that makes a picture, and ipywidgets' controls around it.

    def picture(rays: int, machine: str) -> View: ...      can be called and tested without a widget

    panel(picture, {"rays": choice("rays", (256, 1024)), "machine": choice("machine", MACHINES)})
    twin(picture, [{"rays": 256, "machine": "laptop"}, ...])     the same for readers with no kernel

Controls work by mouse and keyboard (Tab, then arrow keys). A line over the picture says what it
shows, or what went wrong. A lesson's panel.py has its `picture`, `controls()`, which makes the
controls by the names of picture's arguments, and TWIN, a few settings for readers without a kernel.
"""

from __future__ import annotations

import html
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from privhead_nb.teach.extras import notebook_library

LARGE = 250_000  # bytes of a still; a notebook may hold 2 MB

if TYPE_CHECKING:
    import ipywidgets
    from IPython.display import Image
    from matplotlib.figure import Figure

Compute = Callable[..., "View"]
_WIDE: dict[str, Any] = {
    "style": {"description_width": "110px"},
    "layout": {"width": "420px", "max_width": "100%"},
}


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

    def png(self) -> bytes:
        """The picture as PNG."""
        data = BytesIO()
        self.figure.savefig(data, format="png")
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


def panel(compute: Compute, controls: Mapping[str, ipywidgets.ValueWidget]) -> ipywidgets.VBox:
    """Controls, and under them a line of facts and a picture, made anew at each change.

    Args:
        compute: called with the controls' values by their names.
        controls: by the name of the argument that they set.

    Returns:
        A box of (box of controls, output); an error of `compute` is shown in place of the facts.
    """
    from IPython.display import HTML, display

    ipywidgets = notebook_library("ipywidgets")

    def draw(**setting: Any) -> None:
        try:
            shown = _shown(compute(**setting))
        except Exception as error:  # shown where the reader looks, whatever it is
            words = html.escape(f"error: {type(error).__name__}: {error}")
            shown = f'<div role="alert" style="font-weight: bold">{words}</div>'
        display(HTML(shown))

    output = ipywidgets.interactive_output(draw, dict(controls))
    return ipywidgets.VBox([ipywidgets.VBox(list(controls.values())), output])


def _shown(view: View) -> str:
    """A line that screen readers announce, and the picture."""
    data, alt = b64encode(view.png()).decode(), html.escape(view.alt, quote=True)
    return (
        f'<div role="status" style="min-height: 1.5em">{html.escape(view.facts or "done")}</div>'
        f'<img alt="{alt}" style="max-width: 100%" src="data:image/png;base64,{data}">'
    )


def twin(compute: Compute, settings: Sequence[Mapping[str, Any]]) -> Image:
    """The pictures of a few settings, one below the other, for the last line of a notebook cell."""
    import numpy as np
    from IPython.display import Image
    from PIL import Image as Pillow

    views = [compute(**setting) for setting in settings]
    tiles = [np.asarray(Pillow.open(BytesIO(v.png())).convert("RGB")) for v in views]
    picture = Pillow.fromarray(np.vstack(tiles))
    data = BytesIO()
    picture.save(data, format="png", optimize=True)
    if len(data.getvalue()) > LARGE:  # 256 colours are a third of the bytes
        data = BytesIO()
        picture.quantize(256, dither=Pillow.Dither.NONE).save(data, format="png", optimize=True)
    kept: dict[str, Any] = {"alt": " ".join(v.alt for v in views)}
    return Image(data=data.getvalue(), format="png", **kept)
