"""The course as web pages: `make site`, or `python -m notebooks.tools.site out/site`.

Sphinx and MyST-NB make them of the solved notebooks as they are stored and of the pages in docs/,
executing nothing. Three things are done before, so that a page asks no other host for anything:

- a panel is shown as it was stored: its controls, at rest, and its picture;
- plotly's figures are drawn by the script that plotly's own package brings;
- formulas become MathML, which browsers draw themselves and screen readers read.

Sphinx's warnings, such as of a link or an anchor that leads nowhere, are errors.
"""

from __future__ import annotations

import argparse
import html
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from notebooks.tools import build
from privhead_nb.files import atomic_folder

ROOT = build.NOTEBOOKS.parent
CONF = ROOT / "docs" / "site"
PLOTLY_SCRIPT = "plotly.min.js"
# Links to files of the repository that are no pages of the site.
_CODE_LINK = re.compile(
    r"\[([^]]+)\]\((?:(?:\.\./)+(?:privhead_nb|tests|benchmarks)/[^)]*|Dockerfile)\)"
)
_ELSEWHERE = re.compile(r'<(?:img|script|link)\b[^>]*\b(?:src|href)="(https?://[^"]+)"')
_PICTURE = re.compile(r"<img\b[^>]*>")


def make(target: Path) -> list[str]:
    """Build the pages into `target`, replacing it; what is wrong with them, in words."""
    from sphinx.application import Sphinx

    work = target.with_name(target.name + ".source")
    shutil.rmtree(work, ignore_errors=True)
    prepare(work)
    try:
        with atomic_folder(target, overwrite=True) as aside:
            trees = work.with_name(work.name + ".trees")
            app = Sphinx(
                str(work), str(work), str(aside), str(trees), "html",
                status=None, warning=sys.stderr, warningiserror=False, freshenv=True,
            )  # fmt: skip
            app.build(force_all=True)
            shutil.rmtree(trees, ignore_errors=True)
            faults = faults_of(aside) + [f"{app._warncount} warnings"] * bool(app._warncount)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return faults


def prepare(work: Path) -> None:
    """Sphinx's sources: pages, the solved notebooks made still, and plotly's script."""
    import nbformat
    from plotly.offline import get_plotlyjs

    shutil.copytree(CONF, work)
    shutil.copytree(ROOT / "docs" / "pictures", work / "docs" / "pictures")
    (work / "docs" / "instructors").mkdir()
    for page in [ROOT / "INSTRUCTORS.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        if not page.is_relative_to(CONF):
            text = _CODE_LINK.sub(r"\1", page.read_text(encoding="utf-8"))
            (work / page.relative_to(ROOT)).write_text(text, encoding="utf-8")
    (work / "notebooks").mkdir()
    for source in build.sources():
        notebook = nbformat.read(build.target_of(source), as_version=4)
        nbformat.write(stilled(notebook), work / "notebooks" / f"{source.stem}.ipynb")
    (work / "_static").mkdir(exist_ok=True)
    (work / "_static" / PLOTLY_SCRIPT).write_text(get_plotlyjs(), encoding="utf-8")


def stilled(notebook: Any) -> Any:
    """The notebook with panels and plotly figures as HTML that needs no kernel."""
    state = notebook.metadata.get("widgets", {}).get(build.WIDGETS, {}).get("state", {})
    for cell in notebook.cells:
        for number, output in enumerate(cell.get("outputs", [])):
            data = output.get("data", {})
            if build.WIDGET_VIEW in data:
                shown = still_panel(state, data[build.WIDGET_VIEW]["model_id"])
                output["data"] = {"text/html": f'<div class="panel" role="group">{shown}</div>'}
            elif build.PLOTLY in data:
                name = f"{cell.id}-{number}"
                output["data"] = {"text/html": _plotly(name, data[build.PLOTLY], _alt(output))}
    notebook.metadata.pop("widgets", None)
    return notebook


def still_panel(state: dict[str, Any], name: str) -> str:
    """A stored widget and its children as HTML, at rest."""
    model = state[name.removeprefix("IPY_MODEL_")]
    kind, values = model["model_name"], model["state"]
    label = html.escape(values.get("description") or "")
    if kind in ("VBoxModel", "HBoxModel"):
        return "".join(still_panel(state, child) for child in values["children"])
    if kind == "OutputModel":
        return "".join(str(o["data"]["text/html"]) for o in values["outputs"])
    if kind == "SelectionSliderModel":
        options, index = values["_options_labels"], values["index"]
        return _range(label, 0, len(options) - 1, index, html.escape(str(options[index])))
    if kind in ("IntSliderModel", "FloatSliderModel"):
        shown = f"{values['value']:g}"
        return _range(label, values["min"], values["max"], values["value"], shown)
    if kind == "CheckboxModel":
        checked = " checked" if values["value"] else ""
        return f'<label><input type="checkbox" disabled{checked}> {label}</label>'
    raise ValueError(f"the site does not know how to show a stored {kind}")


def _range(label: str, low: float, high: float, value: float, shown: str) -> str:
    slider = f'<input type="range" disabled min="{low}" max="{high}" step="any" value="{value}">'
    return f"<label><span>{label}</span>{slider}<output>{shown}</output></label>"


def _plotly(name: str, figure: Any, alt: str) -> str:
    drawn = {"data": figure["data"], "layout": figure["layout"]}
    # inside a script element, "</" would end it
    text = json.dumps(drawn).replace("</", "<\\/")
    return (
        f'<div id="{name}" class="plotly-figure" role="img" aria-label="{html.escape(alt)}"></div>'
        f'<script type="application/json" id="{name}-data">{text}</script>'
        f"<script>addEventListener('load', () => {{ const f = JSON.parse("
        f"document.getElementById('{name}-data').textContent);"
        f"Plotly.newPlot('{name}', f.data, f.layout, {{responsive: true}}); }})</script>"
    )


def _alt(output: Any) -> str:
    return str(output.get("metadata", {}).get(build.PLOTLY, {}).get("alt", ""))


def faults_of(site: Path) -> list[str]:
    """Files that a page asks of another host, and pictures without words."""
    found = []
    for path in sorted(site.rglob("*.html")):
        text, name = path.read_text(encoding="utf-8"), path.relative_to(site)
        found += [f"{name}: loads {place} from another host" for place in _ELSEWHERE.findall(text)]
        bare = [tag for tag in _PICTURE.findall(text) if not re.search(r'alt="[^"]*\w', tag)]
        if bare:
            found.append(f"{name}: {len(bare)} pictures without alternative text")
    return found


def main() -> None:
    """Build, and exit with 1 where a page has a fault."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", type=Path, nargs="?", default=Path("out/site"))
    asked = parser.parse_args()
    faults = make(asked.target.resolve())
    print("\n".join(faults) or f"{asked.target / 'index.html'}: no fault was found")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
