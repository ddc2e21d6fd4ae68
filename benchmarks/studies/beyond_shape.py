"""Through shape, beyond shape: what a release gives away besides the mesh that was agreed to.

A faithful head names a person, whatever is hidden: that leaks *through shape*. *Beyond shape* are
skin, brows, lips, marks and hair colour, which a forger needs. It is measured on twins, groups of
made people who share a shape but not their colours (`twins.py`): how often a twin
is named among twins, and how much of a face's colours can be told from what was released.

    python benchmarks/studies/beyond_shape.py run                    # all that is not stored yet
    python benchmarks/studies/beyond_shape.py run --part sobel-64 neutral
    python benchmarks/studies/beyond_shape.py run --again --steps 2000 --learned 100    # stronger
    python benchmarks/studies/beyond_shape.py table                  # what is stored, as Markdown

Any other way to protect, from Python, about 3 CPU-minutes a call:

    from benchmarks.studies.beyond_shape import beyond_shape
    figures = beyond_shape(protect, group="evaluation")
    figures["together"]["rank1"], figures["albedo"]["removed"]

The twins are made once: about 10 CPU-minutes, kept in out/lab (PRIVHEAD_LAB names another folder).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.studies.beyond_shape_artefacts import forger, heads, neutral, renders, through_shape
from benchmarks.studies.twin_attack import Study, look, trained
from benchmarks.studies.twins import TWINS_VERSION
from privhead_nb import resources
from privhead_nb.bench.harness import cpu_name
from privhead_nb.files import write_json
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import faces
from privhead_nb.lab.intervals import percent
from privhead_nb.lab.settings import SETTINGS, setting
from privhead_nb.privacy.operators import Operator

RESULTS = resources.RESULTS / "beyond_shape.json"
GROUP = "fresh"
STUDIED = ("sobel-64", "noise-0.2", "noise-0.1", "levels-4", "luma")
CONTROL = "unprotected"
RECONSTRUCTED = 3  # people, twice each
KNOWN, MOVED = 100, 20  # people of the gallery of scans, and with another expression
PARTS = (STUDIED[0], CONTROL, "neutral", "forger", *STUDIED[1:], "meshes")


def beyond_shape(
    protect: Operator | Callable[..., Tensor] | None,
    size: int = 64,
    *,
    group: str = "evaluation",
    study: Study | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """What pictures protected in some way leak beyond shape, by an attacker trained on that way.

    The attacker has the operator, and twins of other shapes in other colours with their albedo
    codes; its gallery holds a frontal picture of each of a group's 20 twins, protected alike.

    Args:
        protect: an `Operator`; or a function of colours (N, size, size, 3) in [0, 1] to what is
            released of them, (N, h, h) or (N, h, h, C), called as protect(colours, generator) if
            it takes two arguments, else protect(colours); None releases the colours: the positive
            control. It is called anew for every batch, without gradients.
        size: pictures are brought to it before the operator, pixels.
        group: who is tested: "evaluation" while choosing, "fresh" once, at the end.
        study: sizes.
        progress: show a bar.

    Returns:
        Rates are [value, low, high], 95 % intervals that draw whole groups of twins.
        `one`, `together`: of one picture, of all eight of a twin: `rank1` among 20 twins, `fnmr`
        at FMR 1e-3 among twins. `hair_masked`: the same with hair covered.
        `albedo`: `removed`, the share of the mean skin's colour error that the best guess from
        eight pictures removes (0 nothing beyond shape, 1 everything); `by_part`; `delta_e`.
        `controls`, all at chance or 0 if nothing is wrong: `one_albedo` (rank-1 of eight pictures
        where all twins have one skin), `shuffled` (names drawn anew), `shuffled_albedo`.
        `chance`, `twins`, `groups`, `of`, `cpu_seconds`.
    """
    began = time.process_time()
    chosen = Study() if study is None else study
    reader = trained(protect, size, chosen, progress=progress)
    return look(reader, group, chosen).figures() | {
        "cpu_seconds": round(time.process_time() - began, 1)
    }


def run(part: str, study: Study) -> dict[str, Any]:
    """The figures of one of PARTS, or of another setting."""
    began = time.process_time()
    if part == "neutral":
        found = neutral(study, GROUP)
    elif part == "forger":
        found = forger(study, GROUP)
    elif part == "meshes":
        made = heads(faces.people(GROUP, RECONSTRUCTED))
        meshes = {m: [(i, head.mesh) for i, head, _ in all_made] for m, all_made in made.items()}
        known = faces.people(GROUP, KNOWN)
        found = {
            "heads": {m: [facts for _, _, facts in all_made] for m, all_made in made.items()},
            "scans": through_shape(meshes, known, MOVED),
            "renders": renders(made, study, GROUP),
        }
    elif part == CONTROL:
        found = beyond_shape(None, group=GROUP, study=study)
    else:
        operator, size = setting(part)
        found = beyond_shape(operator, size, group=GROUP, study=study)
        found |= {"operator": operator.to_dict(), "size": size}
    spent = round(time.process_time() - began, 1)
    return found | {"cpu_seconds": spent, "study": asdict(study)}


def stored() -> dict[str, Any]:
    """What was measured."""
    return json.loads(RESULTS.read_text()) if RESULTS.is_file() else {"parts": {}}


def store(part: str, found: dict[str, Any], study: Study) -> None:
    """Put a part's figures beside the others."""
    write_json(
        RESULTS,
        {
            "command": "python benchmarks/studies/beyond_shape.py run",
            "generator": GENERATOR_VERSION,
            "twins": TWINS_VERSION,
            "cpu": cpu_name(),
            "seed": study.reader.seed,
            "people": {
                "tested": f"{study.groups} shapes, {faces.people(GROUP, 1)[0]} on, in 20 colours "
                f"each, {faces.people(GROUP, 1)[0] + 5000} on",
                "attacker's": f"{study.learned + study.calibrated} shapes, "
                f"{faces.people('attacker', 1)[0]} on, in 16 colours each",
            },
            "parts": stored()["parts"] | {part: found},
        },
    )


def table() -> str:
    """What is stored, as Markdown."""
    rows = ["| pictures | one | eight together | hair masked, eight | colour error removed |"]
    rows += ["| --- | --- | --- | --- | --- |"]
    for name, found in stored()["parts"].items():
        if "together" in found:
            cells = [found["one"], found["together"], found["hair_masked"]["together"]]
            rates = [percent(*cell["rank1"]) for cell in cells]
            rows.append(
                f"| {name} | {' | '.join([*rates, percent(*found['albedo']['removed'])])} |"
            )
    return "\n".join(rows)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("run", "table"))
    parser.add_argument("--part", nargs="*", choices=sorted({*PARTS, *SETTINGS}), default=PARTS)
    parser.add_argument("--steps", type=int, default=Study().reader.steps, help="of the network")
    parser.add_argument(
        "--learned", type=int, default=Study().learned, help="shapes it learns from"
    )
    parser.add_argument("--again", action="store_true", help="also what is stored already")
    asked = parser.parse_args()
    if asked.command == "table":
        print(table())
        return
    reader = replace(Study().reader, steps=asked.steps)
    # the others' steps keep their share
    longer = asked.steps / Study().reader.steps
    further, clear = int(Study().further * longer), int(Study().clear * longer)
    study = Study(learned=asked.learned, reader=reader, further=further, clear=clear)
    for part in asked.part:
        if asked.again or part not in stored()["parts"]:
            store(part, run(part, study), study)
            print(part, json.dumps(stored()["parts"][part]), flush=True)


if __name__ == "__main__":
    main()
