"""Claims about the panels in a real browser: JupyterLab in headless Chromium.

For each lesson, its first code cell and its panel's cell, as they stand in the notebook, are opened
in JupyterLab and run; then a control is moved by keyboard, and the picture has to change. Chromium
is found on the PATH or named by PRIVHEAD_CHROMIUM; without one these tests are skipped.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from answers import panels

from notebooks.tools import build

ROOT = Path(__file__).parents[1]
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
WAIT = 90_000  # ms, for a kernel on a busy machine
# What JupyterLab itself says of a server that reaches no network, and of no extension manager.
HARMLESS = ("favicon", "/lab/api/", "ResizeObserver", "service worker", "net::ERR_")
SLIDER, TICK = ".noUi-handle", "input[type=checkbox]"

pytestmark = pytest.mark.slow


def chromium() -> str:
    """The browser, or a skip that says how to get one."""
    found = os.environ.get("PRIVHEAD_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")
    if not found:
        pytest.skip("no Chromium on the PATH: install it, or set PRIVHEAD_CHROMIUM to its program")
    return found


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A JupyterLab server on a folder of its own: its address and the folder."""
    chromium()
    folder = tmp_path_factory.mktemp("lab")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    asks = folder / ".settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    asks.parent.mkdir(parents=True)
    asks.write_text('{"fetchNews": "false", "checkForUpdates": false}')
    environment = os.environ | build.ENVIRONMENT | {
        "JUPYTER_CONFIG_DIR": str(folder / ".config"), "JUPYTER_DATA_DIR": str(folder / ".data"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / ".settings"), "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    server = subprocess.Popen(
        [
            sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
            f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token=",
            f"--ServerApp.root_dir={folder}", "--LabApp.check_for_updates_class="
            "jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=None",
        ],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address + "/api", server)
        yield address, folder
    finally:
        server.terminate()
        server.wait(timeout=30)


def _wait_for(address: str, server: subprocess.Popen[bytes], seconds: float = 60) -> None:
    stop = time.monotonic() + seconds
    while time.monotonic() < stop:
        assert server.poll() is None, "JupyterLab ended at its start"
        try:
            urllib.request.urlopen(address, timeout=2)
        except OSError:
            time.sleep(0.3)
        else:
            return
    pytest.fail("JupyterLab did not answer")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that remembers what its console called an error."""
    made = browser.new_page(viewport={"width": 1200, "height": 1600})
    made.faults = []
    made.on("console", lambda m: made.faults.append(m.text) if m.type == "error" else None)
    made.on("pageerror", lambda e: made.faults.append(str(e)))
    yield made
    made.close()


def panel_cells(source: Path) -> list[str]:
    """The lesson's first code cell, and the one that shows its panel."""
    code = [c.source for c in build.generate(source).cells if c.cell_type == "code"]
    (shown,) = [c for c in code if "widgets.panel(" in c]
    return [code[0], shown]


def opened(page: Any, lab: tuple[str, Path], name: str, cells: list[str]) -> Any:
    """Open a notebook of these cells, run all of them, and wait for the panel."""
    address, folder = lab
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    notebook.metadata["kernelspec"] = {
        "name": "python3", "display_name": "Python 3", "language": "python",
    }  # fmt: skip
    nbformat.write(notebook, folder / f"{name}.ipynb")
    page.goto(f"{address}/lab/tree/{name}.ipynb?reset", timeout=WAIT)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=WAIT)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=WAIT)
    page.wait_for_selector(".jp-StatusBar-TextItem:has-text('Idle')", timeout=WAIT)
    _run_all(page)
    panel = page.locator(".jp-OutputArea .widget-vbox").first
    panel.locator("img").first.wait_for(timeout=WAIT)
    return panel


def _run_all(page: Any) -> None:
    """Until a cell has its number: a kernel that has just come up may not listen yet."""
    numbered = ".jp-CodeCell .jp-InputPrompt:has-text('1')"
    for _ in range(10):
        page.click("text=Run >> nth=0")
        page.click("text=Run All Cells")
        try:
            page.wait_for_selector(f"{numbered}, .jp-InputPrompt:has-text('*')", timeout=4000)
        except Exception:  # nothing has happened
            continue
        return
    pytest.fail("the notebook did not run")


def picture(panel: Any) -> str:
    """The bytes of the panel's picture, as text."""
    return str(panel.locator("img").first.get_attribute("src"))


SOURCES = {p.stem[:2]: p for p in build.sources() if p.stem[:2] in panels()}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("lesson", SOURCES)
def test_a_control_moved_by_keyboard_changes_the_picture(lesson, lab, page):
    panel = opened(page, lab, f"lesson{lesson}", panel_cells(SOURCES[lesson]))
    before = picture(panel)
    handle = panel.locator(SLIDER).first
    handle.focus()
    for key in ("ArrowRight", "ArrowLeft", "ArrowLeft"):  # one of them is not the slider's end
        page.keyboard.press(key)
        try:
            page.wait_for_function(
                "([box, old]) => ![null, old].includes(box.querySelector('img')?.src ?? null)",
                arg=[panel.element_handle(), before],
                timeout=15_000,
            )
        except Exception:  # this end of the slider: try the other way
            continue
        break
    assert picture(panel) != before
    assert panel.locator("img").first.get_attribute("alt")
    status = panel.locator("[role=status]").first
    assert "error" not in status.inner_text()
    assert panel.locator("[role=alert]").count() == 0
    assert [f for f in page.faults if not any(word in f for word in HARMLESS)] == []


def test_a_control_is_reached_with_tab_and_an_error_is_seen(lab, page):
    """Tab goes from the first control to the second; a picture that fails says so in the panel."""
    cells = [
        "from matplotlib.figure import Figure\nfrom privhead_nb.teach import widgets\n"
        "from privhead_nb.teach.widgets import View\n"
        "def picture(a, b):\n"
        "    if b == 3:\n        raise ValueError('b must not be 3')\n"
        "    return View(Figure(figsize=(a, 1), dpi=20), f'{a} wide')\n",
        "widgets.panel(picture, {'a': widgets.whole('a', 1, 4, 1, 2), "
        "'b': widgets.choice('b', [1, 2, 3], 2)})",
    ]
    panel = opened(page, lab, "error", cells)
    panel.locator(SLIDER).first.focus()
    page.keyboard.press("Tab")
    if not page.evaluate("document.activeElement.classList.contains('noUi-handle')"):
        page.keyboard.press("Tab")  # past the slider's number, which can be typed over
    page.keyboard.press("ArrowRight")
    panel.locator("[role=alert]").wait_for(timeout=15_000)
    assert "b must not be 3" in panel.locator("[role=alert]").inner_text()
    page.keyboard.press("ArrowLeft")
    panel.locator("[role=status]").wait_for(timeout=15_000)
    assert panel.locator("[role=alert]").count() == 0


@pytest.mark.timeout(600)
def test_every_page_of_the_site_opens_without_complaint(built_site, page):
    """No error on the console; figures that turn are drawn; formulas and panels have a size."""
    target, _ = built_site
    for path in sorted(target.rglob("*.html")):
        page.faults.clear()
        asked: list[str] = []
        page.on("request", lambda r, asked=asked: asked.append(r.url))
        page.goto(path.as_uri(), timeout=WAIT)
        for kind in (".plotly-figure .main-svg", ".panel img", "math"):
            shown = page.locator(kind)
            if kind.startswith(".plotly") and page.locator(".plotly-figure").count():
                shown.first.wait_for(timeout=30_000)
            sizes = [shown.nth(i).bounding_box() for i in range(min(3, shown.count()))]
            assert all(box and box["width"] > 3 and box["height"] > 3 for box in sizes), path.name
        assert all(url.startswith(("file:", "data:", "blob:")) for url in asked), path.name
        assert page.faults == [], path.name
