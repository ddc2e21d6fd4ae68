"""Figures of the privacy lab in the documents, put there from what is stored.

    python benchmarks/studies/privacy_tables.py            write all marked blocks again
    python benchmarks/studies/privacy_tables.py --check    say which of them differ, and exit with 1

A block of a document stands between `<!-- privacy: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.studies import curve, defence_front, generator_shift
from benchmarks.studies.reconstructed_heads import FULL_RGB
from privhead_nb import resources
from privhead_nb.files import atomic_file
from privhead_nb.lab import assessment, faces
from privhead_nb.lab.intervals import percent
from privhead_nb.lab.privacy_study import fnmr
from privhead_nb.lab.settings import DEFAULT, SETTINGS
from privhead_nb.lab.table2 import IMAGE_CONDITIONS, PAPER_TABLE_2

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "INSTRUCTORS.md", "docs/privacy-lab.md", "docs/release.md")
BLOCK = re.compile(r"<!-- privacy: (?P<name>[\w-]+) -->\n.*?<!-- end -->", re.DOTALL)

ATTACKS = {
    "no-attack": "no attack: `arcface_cnn` looks at moduli",
    "no-attack-inverted": "no attack: the same, dark lines on white",
    "no-attack-hog": "no attack: `hog_lda` looks at moduli",
    "parrot-classical": "parrot, classical: seconds",
    "parrot-cnn": "parrot, a network",
    "parrot-two-stems": "parrot, two networks: moduli against pictures",
    "parrot-informed": "parrot, informed: a network that was told how people differ",
    "inversion": "learned inversion: a network paints, `arcface_cnn` looks",
    "decoder": "a learned decoder of portraits, fitted to the modulus (2 pictures of each person)",
}
RENDERED = {
    "renders of the field, `arcface_cnn`": ("arcface_cnn", "portraits"),
    "renders of the field, `hog_lda`": ("hog_lda", "portraits"),
    "colours fitted on the mesh to the moduli, `arcface_cnn`": ("arcface_cnn", "refit"),
    "the same, `triplet_cnn`": ("triplet_cnn", "refit"),
    "the mesh in a mean skin, `triplet_cnn`": ("triplet_cnn", "plain"),
}
MESHES = {
    "mesh, against scans: matching of the head": "mesh, matching of the head",
    "mesh, against scans: matching of the face": "mesh, matching of the face",
    "mesh, against scans: network": "mesh, network",
    "mesh, against frontal pictures: two stems": "mesh, two stems",
}


@cache
def stored(name: str) -> Any:
    """What `benchmarks/results/NAME.json` holds; it is read once: don't change it."""
    return json.loads((resources.RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def said(rate: Sequence[float] | dict[str, str] | None) -> str:
    """A stored rate in words; an abstention as one."""
    return percent(*rate) if isinstance(rate, list | tuple) else "not known"


def of(worst: assessment.Worst | None) -> str:
    """The rate of an attack in words."""
    return "not known" if worst is None else percent(worst.rank1, worst.low, worst.high)


def rows(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    table = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in table)


def people() -> str:
    """Who was tried in attacks on pictures, and whether anything was chosen looking at them."""
    first, count = stored("privacy")["people_from"], stored("privacy")["people"]
    development = faces.GROUPS["evaluation"]
    whose = f"{count} made people, {first:,} and up"
    if first == development:
        return f"{whose}: those on whom recipes were chosen, so these rates may be a little high"
    return f"{whose}: fresh ones, measured once when all recipes, chosen on others, were frozen"


def clean() -> tuple[str, str]:
    """Rank-1 and FNMR of arcface_cnn on unprotected pictures, in words."""
    rates = stored("recognisers")["arcface_cnn"]["whole"]
    return said(rates["rank1"]), said(fnmr({"tar": rates["tar_at_far_1e-3"]}))


def names_you() -> str:
    """How well the paper's default names its person, as a paragraph."""
    default, together = curve.leak(DEFAULT), stored("privacy")["settings"][DEFAULT]["together"]
    worst, alone = default.worst, default.alone
    assert worst is not None
    assert alone is not None
    scans = ", held against true scans" if "mesh" in worst.attack else ""
    missed, rank1, clean_missed = said(alone.fnmr), *clean()
    return (
        "Of all that the paper's default (Sobel, 64 x 64) gives away, the strongest attack "
        f"measured names **{of(worst)}** of {worst.people} people ({worst.attack}{scans}). "
        f"Of its pictures alone, the strongest ({ATTACKS[together['attack']].split(':')[0]}) names "
        f"**{of(alone)}** by one and **{of(default.together)}** by {default.views} together, among "
        f"{default.people} people; chance is {100 * default.chance:.0f} %. At a false match rate "
        f"of 0.1 % it misses {missed} of the mated pairs, where a recogniser of unprotected "
        f"pictures, whose rank-1 is {rank1}, misses {clean_missed}. ({people()}.)"
    )


def twins() -> dict[str, Any]:
    """Parts of the study of twins that looked at pictures; empty where it was not run."""
    if not (resources.RESULTS / "beyond_shape.json").is_file():
        return {}
    parts = stored("beyond_shape")["parts"]
    return {name: part for name, part in parts.items() if "together" in part and "albedo" in part}


def beyond_shape() -> str:
    """What the paper's default gives away beyond the shape, as a paragraph."""
    if not {DEFAULT, "unprotected", "neutral"} <= twins().keys():
        return "It is measured by `python benchmarks/studies/beyond_shape.py run`."
    kinds = (DEFAULT, "neutral", "unprotected")
    moduli, behind, plain = (said(twins()[kind]["albedo"]["removed"]) for kind in kinds)
    found = twins()[DEFAULT]
    return (
        f"From eight protected pictures an attacker's guess of the face's colours removes "
        f"**{moduli}** of the error that a mean skin makes; from the neutral views, which are in "
        f"colour, {behind}; from unprotected pictures {plain}. Among {round(1 / found['chance'])} "
        f"twins, who share a shape and not their colours, {said(found['together']['rank1'])} are "
        f"named from moduli (chance {100 * found['chance']:.0f} %). **A modulus does not hide what "
        "colour someone is.**"
    )


def twins_table() -> str:
    """What eight pictures tell beyond shape, by what was released of them."""
    lines = [
        [name, *(said(part[taken]["rank1"]) for taken in ("one", "together")),
         said(part["hair_masked"]["together"]["rank1"]), said(part["together"]["fnmr"]),
         said(part["albedo"]["removed"])]
        for name, part in twins().items()
    ]  # fmt: skip
    head = ("pictures", "twin named, one picture", "eight together", "hair masked, eight",
            "FNMR at FMR 0.1 %, eight", "colour error removed")  # fmt: skip
    return rows(head, lines)


def twins_parts() -> str:
    """Which colours the paper's default gives away, and the null controls, as a paragraph."""
    found = twins()[DEFAULT]
    each = ", ".join(f"{part} {said(rate)}" for part, rate in found["albedo"]["by_part"].items())
    nulls = found["controls"]
    return (
        f"Part by part, the default's moduli remove of the colour error: {each}. Null controls: "
        f"with all twins in one albedo {said(nulls['one_albedo'])} are named, with names drawn "
        f"anew {said(nulls['shuffled'])}, and another one's guess is worse than the mean skin."
    )


def forger() -> str:
    """What neutral views, meshes and renders give away beyond shape, as paragraphs."""
    parts = stored("beyond_shape")["parts"]
    shown = ("neutral views", "moduli", "moduli and neutral views")
    removed = {key: said(parts["forger"][key]["removed"]) for key in shown}
    front = parts["neutral"]["against_frontal"]["whole"]["together"]["rank1"]
    scans, renders = parts["meshes"]["scans"], parts["meshes"]["renders"]
    true, (bare, template) = (
        scans["true mesh, another expression"],
        (scans[key] for key in ("with neutral views", "template, no neutral view")),
    )
    looked = [r["moduli"] for r in renders.values()]
    return (
        "*What a forger holds*: colour error removed by neutral views "
        f"{removed['neutral views']}, by moduli {removed['moduli']}, by both "
        f"{removed['moduli and neutral views']}. A release "
        "without neutral views (template mode) closes that door alone: its moduli leak what they "
        f"leaked. Neutral views name a twin against a frontal picture in {said(front)}.\n\n"
        "*Meshes* have no colour, so twins' true meshes are one and the same: beyond shape they "
        "give chance. Through shape, the true surface with another expression names "
        f"{said(true['rank1'])} of {true['people']} among {scans['gallery']} scans; heads "
        f"reconstructed with neutral views {said(bare['rank1'])} of {bare['people']}, on a "
        f"template, without any, {said(template['rank1'])} of {template['people']}. *Renders* of "
        "those fields, read as moduli among 21 of one shape, name "
        + " and ".join(said(r["together"]) for r in looked)
        + ". Three people show no more than that it can happen."
    )


def defence() -> str:
    """What the search for a better protection found, as a paragraph."""
    ends = stored("defence")["finalists"]
    plain, best = ends[DEFAULT], ends[(name := list(ends)[-1])]
    both = [(said(end["beyond"]["together"]["rank1"]), said(end["beyond"]["albedo"]["removed"]))
            for end in (best, plain)]  # fmt: skip
    share = defence_front.left(best["beyond"], plain["beyond"])
    far, normals = (best["shape"][key][0] for key in defence_front.RATIOS)
    return (
        f"**{defence_front.verdict(stored('defence'))}** The nearest is `{name}`: twins named by "
        f"eight pictures fall from {both[1][0]} to {both[0][0]}, the colour error removed from "
        f"{both[1][1]} to {both[0][1]} (so {100 * share:.0f} % of the leak is left), at "
        f"{far:.2f} times the error of distance and {normals:.2f} times that of normals."
    )


def defence_line() -> str:
    """The verdict of the search for a better protection, in a sentence."""
    tried, found = len(stored("defence")["candidates"]) - 1, stored("defence")["found"]
    names = ", ".join(f"`{name}`" for name in found) or "none"
    return (
        f"A search among {tried} other protections for one that leaks half as much beyond shape, "
        f"at {curve.TOLERANCE} times the error at most, found {names}."
    )


def defence_candidates() -> str:
    """All candidates of the search for a better protection, as first screened."""
    return defence_front.table(stored("defence"))


def defence_finalists() -> str:
    """The finalists of that search, attacked with more budget."""
    return defence_front.table_of_finalists(stored("defence")).rsplit("\n\n", 1)[0]


def default_table() -> str:
    """Each attack on pictures at the paper's default."""
    lines = []
    for name, words in ATTACKS.items():
        if run := stored("picture_attacks")["results"].get(f"{DEFAULT}.{name}"):
            rates, card = run["whole"], run["card"]
            lines.append(
                [
                    words,
                    card["data"],
                    said(rates["rank1"]),
                    said(fnmr(rates)),
                    said(rates["release"]),
                ]
            )
    views = stored("privacy")["views"]
    head = ("attack", "learned from", "one picture", "FNMR at FMR 0.1 %", f"{views} together")
    return rows(head, lines)


def settings_table() -> str:
    """Each setting: what it costs, its pictures, and the strongest attack on all it gives away."""
    costs, lines = stored("curve")["settings"], []
    for name in [*SETTINGS, FULL_RGB]:
        cost = costs.get(name)
        shape = (
            [
                curve.measured(cost[k], how)
                for k, how in (("chamfer_mm", ".2f"), ("chamfer_ratio", ".2f"))
            ]
            if cost
            else ["-", "-"]
        )
        if name == FULL_RGB:
            lines.append([name, *shape, *["not protected"] * 4])
            continue
        found = curve.leak(name)
        assert found.alone is not None
        star = " *" if found.untried else ""
        dagger = " †" if found.elsewhere else ""
        worst = found.worst
        where = "its pictures" if worst in (found.alone, found.together) else "mesh"
        if worst is not None and worst.attack.startswith("neutral"):
            where = "neutral views"
        lines.append(
            [name + star, *shape, of(found.alone), said(found.alone.fnmr), of(found.together),
             f"{of(worst)}, {where}{dagger}"]
        )  # fmt: skip
    head = ("setting", "head's error, mm", "over default", "one picture", "FNMR at FMR 0.1 %",
            f"{stored('privacy')['views']} together", "worst of all")  # fmt: skip
    notes = []
    if any("*" in cells[0] for cells in lines):
        strongest = stored("privacy")["settings"][DEFAULT]["alone"]["attack"]
        notes.append(f"\\* {strongest}, the strongest at the default, was not tried there.")
    if any("†" in cells[-1] for cells in lines):
        notes.append("† Meshes and renders of that setting were not attacked.")
    return "\n\n".join(
        [rows(head, lines), _wrapped(" ".join([*notes, curve.verdict(stored("curve"))]))]
    )


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 120, break_on_hyphens=False)


def table2() -> str:
    """The paper's Table 2 in kind."""
    found, lines = stored("tables")["table2"]["recognisers"], []
    for k, kind in enumerate(IMAGE_CONDITIONS):
        paper = [row[k] for row in PAPER_TABLE_2.values()]
        rates = [(name, "verified") for name in ("arcface_cnn", "triplet_cnn", "dlib")]
        rates.append(("arcface_cnn", "rank1"))
        lines.append(
            [kind, f"{sum(paper) / len(paper):.0f} %", *(said(found[n][kind][m]) for n, m in rates)]
        )
    head = (
        "kind of picture", "the paper's mean of seven", "verified by `arcface_cnn`",
        "by `triplet_cnn`", "by dlib's network", "named among 100 by `arcface_cnn`",
    )  # fmt: skip
    return rows(head, lines)


def neutral() -> str:
    """What the neutral views of a release leak, as a paragraph."""
    behind, front = (
        stored("artefacts")["attacks"]["neutral"][f"palette, {where} gallery"]
        for where in ("rear", "frontal")
    )
    count, albedo = behind["whole, all views"]["probes"], "one albedo, all views"
    return (
        f"The mean colours of hair, ears, skin and neck in the neutral views name "
        f"{said(behind['whole, all views']['rank1'])} of {count} people against pictures from "
        f"behind, and {said(front['whole, all views']['rank1'])} against frontal pictures. The two "
        f"outermost views, at 105 degrees, show a good part of the profile: alone they get "
        f"{said(front['whole, outermost views']['rank1'])} against frontal pictures, the inner "
        f"ones {said(front['whole, inner views']['rank1'])}. In one albedo it is "
        f"{said(behind[albedo]['rank1'])} and {said(front[albedo]['rank1'])}: these views leak "
        f"colours."
    )


def artefacts_table() -> str:
    """What is made of a release, by setting."""
    attacks, heads = (stored("artefacts")[k] for k in ("attacks", "heads"))
    lines = []
    for words, (recogniser, kind) in RENDERED.items():
        rates = [attacks["pictures"][recogniser][name].get(kind, {}).get("rank1") for name in heads]
        lines.append([words, *(said(rate) if rate else "-" for rate in rates)])
    for words, name in MESHES.items():
        rates = [attacks["shape"][name][setting_]["rank1"] for setting_ in heads]
        lines.append([words, *map(said, rates)])
    return rows(("what is attacked, and how", *heads), lines)


def release_line() -> str:
    """What docs/release.md says of recognition."""
    runs = stored("picture_attacks")["results"]
    cheap, none = (runs[f"{DEFAULT}.{name}"]["whole"] for name in ("parrot-classical", "no-attack"))
    return (
        f"{names_you()} A cheap attack, with seconds of learning, gets {said(cheap['rank1'])} by "
        f"one picture and {said(cheap['release'])} by {stored('privacy')['views']}. A network that "
        f"knows ordinary pictures only is right in {said(none['rank1'])} where it looks at a "
        "modulus, which is the kind of test that the paper makes."
    )


def instructors_line() -> str:
    """The leak in a sentence, for INSTRUCTORS.md."""
    cheap = stored("picture_attacks")["results"][f"{DEFAULT}.parrot-classical"]["whole"]["rank1"][0]
    best = stored("privacy")["settings"][DEFAULT]["alone"]["rank1"][0]
    return (
        '- *"The recogniser did not know it, so nobody can."* One that learned the same '
        f"protection knows it in {100 * cheap:.0f} to {100 * best:.0f} % (09)."
    )


BLOCKS: dict[str, Callable[[], str]] = {
    "names-you": names_you,
    "beyond-shape": beyond_shape,
    "twins": twins_table,
    "twins-parts": twins_parts,
    "forger": forger,
    "defence": defence,
    "defence-line": defence_line,
    "defence-candidates": defence_candidates,
    "defence-finalists": defence_finalists,
    "default": default_table,
    "settings": settings_table,
    "generator-shift": generator_shift.table,
    "table2": table2,
    "neutral": neutral,
    "artefacts": artefacts_table,
    "release": release_line,
    "instructors": instructors_line,
}


def renewed(text: str) -> str:
    """A document with its blocks written again from what is stored."""

    def block(found: re.Match[str]) -> str:
        made = BLOCKS[found["name"]]()
        if not made.startswith(("|", "-")):
            made = "\n\n".join(_wrapped(paragraph) for paragraph in made.split("\n\n"))
        return f"<!-- privacy: {found['name']} -->\n{made}\n<!-- end -->"

    return BLOCK.sub(block, text)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    asked, old = parser.parse_args(), []
    for page in (ROOT / name for name in PAGES):
        text = page.read_text(encoding="utf-8")
        if renewed(text) != text:
            old.append(page.name)
            if not asked.check:
                with atomic_file(page) as aside:
                    aside.write_text(renewed(text), encoding="utf-8")
    print(f"{'differs' if asked.check else 'written'}: {', '.join(old) or 'none'}")
    if asked.check and old:
        sys.exit(1)


if __name__ == "__main__":
    main()
