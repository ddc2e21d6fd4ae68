"""Figures that documents and lessons print are those that are stored, and nothing stronger."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from benchmarks.studies import privacy_tables
from privhead_nb import resources
from privhead_nb.lab import faces

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "notebooks" / "src").glob("*.py"))
PRIVACY = [ROOT / "README.md", *(ROOT / "docs" / f"{n}.md" for n in ("privacy-lab", "release"))]
LESSONS = [path for path in SOURCES if path.stem[:2] in ("06", "09", "10")]
BUILT = [ROOT / "notebooks" / f"{path.stem}.ipynb" for path in LESSONS]
KEYS = [ROOT / "docs" / "recognisers.md", *(ROOT / "docs" / "instructors").glob("0[69].md")]
STUDIES = ("artefacts", "beyond_shape", "curve", "decoder", "defence", "generator_shift",
           "picture_attacks", "privacy", "published", "real_faces", "recognisers",
           "tables")  # fmt: skip

RATE = re.compile(r"(\d+) %\*{0,2} \(?(\d+) to (\d+)(?: %)?\)")
"""A rate with its interval: 93 % (90 to 95)."""
BANNED = (
    "not stored", "not measured yet", "recommended setting", "setting recommended",
    "study recommends", "shown to `arcface_cnn`",
)  # fmt: skip


def words(path: Path) -> str:
    """A document, or the prose of a lesson, on one line."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        text = "\n".join(line[2:] for line in text.splitlines() if line.startswith("# "))
    return " ".join(text.replace("\n> ", " ").split())


def threes(value: Any) -> Iterator[tuple[float, float, float]]:
    """Every [value, low, high] that stands somewhere in a stored result."""
    if isinstance(value, dict):
        yield from chain.from_iterable(map(threes, value.values()))
    elif isinstance(value, list):
        numbers = [v for v in value if isinstance(v, int | float)]
        if len(numbers) == 3 == len([v for v in value if not isinstance(v, str)]):  # a note behind
            yield numbers[0], numbers[1], numbers[2]
        else:
            yield from chain.from_iterable(map(threes, value))


@pytest.fixture(scope="module")
def intervals() -> set[tuple[int, int, int]]:
    """Rates of the privacy studies in whole percent, and what is missing to one."""
    found = set()
    for name in STUDIES:
        path = resources.RESULTS / f"{name}.json"
        if path.is_file():
            for value, low, high in threes(json.loads(path.read_text(encoding="utf-8"))):
                for three in ((value, low, high), (1 - value, 1 - high, 1 - low)):
                    rounded = tuple(float(f"{100 * v:.0f}") for v in three)
                    found.add(tuple(int(v) for v in rounded))
    return found


def test_blocks_of_the_documents_are_what_is_stored() -> None:
    for name in privacy_tables.PAGES:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert privacy_tables.BLOCK.search(text), f"{name} has no block"
        assert privacy_tables.renewed(text) == text, (
            f"{name}: run python benchmarks/studies/privacy_tables.py"
        )


@pytest.mark.parametrize("path", [*PRIVACY, *LESSONS], ids=lambda p: p.stem)
def test_every_rate_with_an_interval_stands_in_a_stored_result(
    path: Path, intervals: set[tuple[int, int, int]]
) -> None:
    text = words(path)
    printed = {tuple(map(int, found.groups())) for found in RATE.finditer(text)}
    assert path.suffix == ".py" or printed, "the pattern finds nothing: it is broken"
    assert printed <= intervals, sorted(printed - intervals)


def test_the_first_number_is_the_worst_over_everything_and_the_pictures_stand_beside_it() -> None:
    stored = json.loads((resources.RESULTS / "privacy.json").read_text(encoding="utf-8"))
    best = stored["settings"]["sobel-64"]
    heads = json.loads((resources.RESULTS / "artefacts.json").read_text(encoding="utf-8"))["heads"]
    mesh = heads["sobel-64"]["worst_rank1"]
    for path in PRIVACY:
        text = words(path)
        first = RATE.search(text[text.index("strongest attack measured names") :])
        assert first is not None
        assert [*map(int, first.groups())] == [round(100 * v) for v in mesh], path.name
        assert mesh[0] >= max(best["alone"]["rank1"][0], best["together"]["rank1"][0])
        for three in (best["alone"]["rank1"], best["together"]["rank1"], best["alone"]["fnmr"]):
            assert f"{100 * three[0]:.0f} %" in text, f"{path.name} lacks {three}"


def test_it_is_said_whether_recipes_were_chosen_on_the_people_who_were_tried() -> None:
    first = privacy_tables.stored("privacy")["people_from"]
    text = words(ROOT / "docs" / "privacy-lab.md")
    fresh = first == faces.GROUPS["fresh"]
    assert ("fresh ones, measured once" in text) == fresh
    assert ("those on whom recipes were chosen" in text) == (not fresh)


@pytest.mark.parametrize("path", [*PRIVACY, *KEYS, *SOURCES, *BUILT], ids=lambda p: p.stem)
def test_nothing_is_promised_for_later_or_recommended(path: Path) -> None:
    text = words(path).lower()
    assert [phrase for phrase in BANNED if phrase in text] == []


def test_a_setting_without_the_strongest_attack_is_marked_in_the_table() -> None:
    page = (ROOT / "docs" / "privacy-lab.md").read_text(encoding="utf-8")
    table = page.split("<!-- privacy: settings -->")[1].split("<!-- end -->")[0]
    stored = privacy_tables.stored("privacy")["settings"]
    strongest = stored["sobel-64"]["alone"]["attack"]
    for name, one in stored.items():
        (row,) = (line for line in table.splitlines() if re.match(rf"\| {name} (\* )?\|", line))
        assert (f"| {name} * |" in row) == (strongest not in one["attacks"])
        assert ("†" in row) == (name not in privacy_tables.stored("artefacts")["heads"])
