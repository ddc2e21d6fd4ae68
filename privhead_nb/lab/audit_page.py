"""An audit for a reader: a page of text, and an HTML file that needs nothing beside itself."""

from __future__ import annotations

import base64
import html
import io
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from privhead_nb.lab.audit_rates import BEYOND, SHAPE
from privhead_nb.lab.intervals import percent

WIDTH = 100
SECTIONS = {
    SHAPE: "THROUGH SHAPE: what the promised head itself gives away",
    BEYOND: "BEYOND SHAPE: colours, texture and marks, which a forger needs",
}
Facts = Mapping[str, Any]


def text(facts: Facts) -> str:
    """The report as lines of text, the worst first."""
    lines = [f"AUDIT of {facts['source']}", ""]
    lines += _two("released", what_was_released(facts))
    lines += [""]
    for key, said in facts["threat_model"].items():
        lines += _two(key, said)
    lines += ["", *_wrapped(worst(facts))]
    for leak, title in SECTIONS.items():
        lines += ["", title]
        rows = stored_rows(facts, leak)
        if rows:
            lines.append(f"  {'stored rates: attack':<44}{'names first':<21}{'FNMR':<21}chance")
        for attack, names, missed, chance, looks_at, note in rows:
            lines.append(f"  {attack:<44}{names:<21}{missed:<21}{chance}")
            lines += _wrapped("; ".join(filter(None, [looks_at, note])), "      ")
        if leak == BEYOND:
            lines += _wrapped(forger(facts), "  ")
        for entry in here(facts, leak):
            lines += ["", f"  now, on this: {entry['attack']}"]
            for said in answers(entry):
                lines += _wrapped(said, "      ")
    if facts["best_guess"]:
        lines += ["", *_wrapped(f"Best guess: {facts['best_guess']['label']}.")]
    for title, rows in (("ABSTAINED", facts["abstained"]), ("NOT TRIED", facts["not_tried"])):
        if rows:
            lines += ["", title]
        for row in rows:
            lines += _wrapped(f"{row['attack']}: {row['why']}", "  ")
            if row.get("command", "") not in row["why"]:
                lines.append(f"      {row['command']}")
    lines += ["", *(line for said in facts["limits"] for line in _wrapped(said))]
    if "out" in facts:
        lines.append(f"{facts['out']}: audit.html, audit.json")
    return "\n".join(line.rstrip() for line in lines)


def what_was_released(facts: Facts) -> str:
    """One sentence."""
    told, parts = facts["released"], []
    if "neutral_views" in told:
        parts.append(
            f"{told['neutral_views']} neutral views in colour, {told['protected_views']} protected "
            f"views as gradient modulus, {told['size']} x {told['size']} pixels, masks: "
            f"{told['masks']}, unit {told['unit']}"
        )
    if operator := told["operator"]:
        parts.append("operator " + ", ".join(f"{k} {v}" for k, v in operator.items()))
    if head := told.get("head"):
        parts.append(
            f"a head of it: {head['triangles']} triangles and its field, profile {head['profile']}"
        )
    return "; ".join(parts) + "."


def worst(facts: Facts) -> str:
    """The strongest stored attack over all."""
    rows = [row for leak in (SHAPE, BEYOND) for row in facts["stored"]["rows"][leak]]
    if not rows:
        return "WORST: not known. No stored study covers this."
    row = max(rows, key=lambda r: (r["rank1"][0], r["rank1"][1]))
    return (
        f"WORST: {row['attack']} ({row['looks_at']}) names {percent(*row['rank1'])} of "
        f"{row['people']} people; chance {share(row['chance'])}. {setting_note(facts)}"
    )


def setting_note(facts: Facts) -> str:
    """Of which setting the stored rates are."""
    stored = facts["stored"]
    if not stored["setting"]:
        return "No rates are stored of anything like this."
    if stored["differs"]:
        return (
            f"This setting was not studied: the stored rates are those of {stored['setting']}, the "
            f"nearest ({'; '.join(stored['differs'])}), and not this one's."
        )
    return f"The stored rates were measured at exactly this setting, {stored['setting']}."


def stored_rows(facts: Facts, leak: str) -> list[tuple[str, ...]]:
    """Attack, rank-1, FNMR, chance, what it looks at and a note, for each stored rate."""
    return [
        (
            row["attack"],
            percent(*row["rank1"]),
            percent(*row["fnmr"]) if row["fnmr"] else "not measured",
            share(row["chance"]),
            f"{row['looks_at']}, {row['people']} people",
            row["note"],
        )
        for row in facts["stored"]["rows"][leak]
    ]


def forger(facts: Facts) -> str:
    """What a forger can tell of a face's colours; "" where that isn't stored."""
    known = facts["stored"]["forger"]
    if not known:
        return ""
    parts = ", ".join(f"{seen} {percent(*rate)}" for seen, rate in known.items())
    return f"Of the mean skin's colour error a forger's best guess removes, seeing: {parts}."


def here(facts: Facts, leak: str) -> list[Facts]:
    """What the shipped attackers found that show a leak."""
    return [entry for entry in facts["here"] if entry["leak"] == leak]


def answers(entry: Facts) -> Iterable[str]:
    """What one attacker found, a sentence each."""
    if "fit" in entry:
        yield f"The attacker was {entry['fit']}."
    if control := entry.get("control"):
        yield (
            f"On {control['people']} made people whose pictures were protected in the same way, "
            f"{control['views']} of each, it names {_rate(control['rank1'])} among "
            f"{control['among']}; FNMR "
            f"{_rate(control['fnmr'])} at FMR {control['fmr']:g}. It never saw them before."
        )
    first, chance = entry["first"][0], entry["chance"]
    yield (
        f"{entry['views']} view{'' if entry['views'] == 1 else 's'} against "
        f"{entry['gallery']['people']} people ({entry['gallery']['from']}): first comes "
        f"{first['person']}, similarity {first['similarity']:.3f}; chance {share(chance)}."
    )
    yield from dict.fromkeys(_threshold(row) for row in entry["thresholds"][:1])
    if true := entry.get("truth"):
        yield f"The true person, {true['person']}, has rank {true['rank']:g}."
    if said := entry.get("link"):
        yield link(said)


def link(said: Facts) -> str:
    """The link test."""
    if "why" in said:
        return f"Link test: abstains, {said['why']}."
    a, b = said["views"]
    place = "is found first" if said["first"] else "is not found first"
    passed = "passes" if said["passed"] else "does not pass"
    return (
        f"Link test: one half of the protected views ({a}) looks for the other ({b}) among "
        f"{said['among']}. It {place}, similarity {said['similarity']:.3f}, and {passed} the "
        f"threshold at FMR {said['fmr']:g}, {said['threshold']:.3f}, which "
        f"{share(said['of_made_people'])} of the made people's halves pass. So two releases of one "
        f"person {'can' if said['passed'] else 'may or may not'} be held for the same by whoever "
        "collects them; two of other days are harder than two halves of one."
    )


def _threshold(row: Facts) -> str:
    if "threshold" not in row:
        return f"No threshold at FMR {row['fmr']:g}: {row['why']}."
    passed = "passes" if row["passed"] else "does not pass"
    note = f" ({row['note']})" if "note" in row else ""
    return f"That {passed} the threshold at FMR {row['fmr']:g}, {row['threshold']:.3f}{note}."


def share(value: float) -> str:
    """A share of all, for a reader."""
    return f"{100 * value:.2g} %" if value < 0.1 else f"{100 * value:.0f} %"


def _rate(rate: Any) -> str:
    return f"not known ({rate['why']})" if isinstance(rate, Mapping) else percent(*rate)


def _two(key: str, said: str) -> list[str]:
    lines = textwrap.wrap(said, WIDTH - 12, break_long_words=False, break_on_hyphens=False)
    return [f"{key if k == 0 else '':<12}{line}" for k, line in enumerate(lines)]


def _wrapped(said: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        said, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


# HTML ---------------------------------------------------------------------------------------------

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff }
table { border-collapse: collapse; width: 100% } td, th { border-bottom: 1px solid #ccc;
  padding: .3rem .6rem .3rem 0; text-align: left; vertical-align: top }
.worst { border-left: .4rem solid #b00; padding-left: 1rem; font-weight: 600 }
figure { display: inline-block; margin: 0 1rem 1rem 0; width: 14rem; vertical-align: top }
figure img { width: 100%; image-rendering: pixelated } small { color: #555 }
"""


def page(facts: Facts, pictures: Mapping[str, Tensor]) -> str:
    """The report as one HTML file; pictures (H, W, 3) in [0, 1] are embedded as PNG."""
    body = [
        f"<h1>Audit of {_safe(facts['source'])}</h1>",
        f"<p>{_safe(what_was_released(facts))}</p>",
        f"<p class='worst'>{_safe(worst(facts))}</p>",
        "<h2>Threat model</h2>",
        _table([], facts["threat_model"].items()),
        "".join(_figure(caption, picture) for caption, picture in pictures.items()),
    ]
    head = ("attack", "names, first", "FNMR at FMR 1e-3", "chance", "looks at", "")
    for leak, title in SECTIONS.items():
        body.append(f"<h2>{_safe(title.capitalize())}</h2><p>{_safe(setting_note(facts))}</p>")
        body.append(_table(head, stored_rows(facts, leak)))
        if leak == BEYOND and (told := forger(facts)):
            body.append(f"<p>{_safe(told)}</p>")
        for entry in here(facts, leak):
            told = "".join(f"<li>{_safe(said)}</li>" for said in answers(entry))
            body.append(f"<h3>Now, on this: {_safe(entry['attack'])}</h3><ul>{told}</ul>")
            card = entry["card"]
            said = "; ".join(f"{key}: {card[key]}" for key in ("knowledge", "data", "cost"))
            body.append(f"<p><small>{_safe(said)}</small></p>")
    for title, rows in (("Abstained", facts["abstained"]), ("Not tried", facts["not_tried"])):
        if rows:
            cells = [(row["attack"], row["why"], row.get("command", "")) for row in rows]
            body.append(f"<h2>{title}</h2>" + _table(("attack", "why", "command"), cells))
    body.append("<h2>Limits</h2>" + "".join(f"<p>{_safe(said)}</p>" for said in facts["limits"]))
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<title>Audit of {_safe(facts['source'])}</title><style>{STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>\n"
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    top = "".join(f"<th scope='col'>{_safe(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{_safe(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table>{top and f'<tr>{top}</tr>'}{body}</table>"


def _figure(caption: str, picture: Tensor) -> str:
    codes = np.round(picture.clamp(0, 1).numpy() * 255).astype(np.uint8)
    packed = io.BytesIO()
    Image.fromarray(codes).save(packed, format="png")
    data = base64.b64encode(packed.getvalue()).decode()
    said = _safe(caption)
    return (
        f"<figure><img alt='{said}' src='data:image/png;base64,{data}'>"
        f"<figcaption>{said}</figcaption></figure>"
    )


def _safe(said: Any) -> str:
    return html.escape(str(said), quote=True)
