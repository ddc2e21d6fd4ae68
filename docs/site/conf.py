"""Sphinx's settings for the course's web pages, which `notebooks/tools/site.py` makes."""

from __future__ import annotations

from typing import Any

import latex2mathml.converter
from docutils.nodes import SkipNode

from privhead_nb import __version__

project = "privhead-nb: a 3D head, while the photos of its face stay at home"
author = "the privhead_nb authors"
copyright = "the privhead_nb authors; lessons CC BY 4.0, code MIT"
version = release = __version__
language = "en"

extensions = ["myst_nb"]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"
nb_merge_streams = True
suppress_warnings = ["mystnb.unknown_mime_type", "myst.header"]

html_theme = "furo"
html_title = "privhead-nb"
html_static_path = ["_static"]
html_css_files = ["course.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
templates_path: list[str] = []
# Letters that every machine has; a theme's own come from another host.
html_theme_options = {"light_css_variables": {"font-stack": "system-ui, sans-serif"}}


def _mathml(self: Any, node: Any, display: str) -> None:
    formula = latex2mathml.converter.convert(node.astext(), display=display)
    self.body.append(formula if display == "inline" else f'<div class="formula">{formula}</div>')
    raise SkipNode


def _plotly(app: Any, *page: Any) -> None:
    """Plotly's script, 5 MB, where a figure turns and nowhere else; page[2] is the context."""
    if "plotly-figure" in page[2].get("body", ""):
        app.add_js_file("plotly.min.js", loading_method="defer")


def setup(app: Any) -> None:
    """Formulas as MathML; plotly's script on the pages that need it."""
    app.connect("html-page-context", _plotly)
    app.add_html_math_renderer(
        "mathml",
        (lambda self, node: _mathml(self, node, "inline"), None),
        (lambda self, node: _mathml(self, node, "block"), None),
    )
