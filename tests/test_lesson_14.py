"""Claims about lesson 14: what its checks try, its panel, and its arena."""

from __future__ import annotations

from typing import Any

from wrong_answers import lesson_14 as answers

from privhead_nb.deid.g2face.payload import stream_of, tag_of
from privhead_nb.teach.lesson14 import figures, panel
from privhead_nb.teach.lesson14.checks import messages, pictures_of_people

# Checks -------------------------------------------------------------------------------------------


def test_the_cases_try_what_they_should() -> None:
    opened = [answers.by_arrays(*case, stream_of, tag_of)[1] for case in messages().values()]
    assert opened == [True] + [False] * (len(opened) - 1)
    assert len(stream_of(b"k", b"n")) == 32 and len(tag_of(b"k", b"n")) == 8
    *plain, taken = (answers.in_a_loop(*case) for case in pictures_of_people().values())
    assert all(hits.mean() > 0.5 for hits, _ in plain)
    assert taken[0].mean() == 0 and taken[1].mean() == 0.6


# Panel and arena ----------------------------------------------------------------------------------


def test_the_panel_says_what_came_back() -> None:
    facts = [panel.picture(**setting).facts for setting in panel.TWIN]
    assert "dB from the original" in facts[0]
    assert all("not recovered" in told for told in facts[1:])


def arena() -> dict[str, Any]:
    """A result in the form in which benchmarks/studies/arena.py writes it."""
    use = {"pose_deg": 2.0, "expression": 0.1, "frechet": 0.3, "cascade": [0.9, 0.8, 0.95]}

    def defence(method: str, strength: float, one: float) -> dict[str, Any]:
        rates = {
            "one": [one, one - 0.1, one + 0.1],
            "eight": [one / 2, 0.0, one],
            "fnmr": {"why": "-"},
        }
        attacks = {"triplet_cnn": rates, "informed network, gallery original": {
            "one": [one + 0.1, one, one + 0.2], "eight": {"why": "no template"}}}  # fmt: skip
        return {"method": method, "strength": strength, "default": strength == 1,
                "attacks": attacks, "utility": use}  # fmt: skip

    names = ("none", "blur", "pixelate", "mask", "k-same", "modulus", "g2face", "aware3d", "other")
    made = {f"{n} {s}": defence(n, s, 0.1 * k) for k, n in enumerate(names, 1) for s in (1, 2)}
    made["none 1"]["utility"] = use | {"cascade": {"why": "no face was found before"}}
    return {"chance": 0.01, "defences": made}


def test_the_arena_names_the_worst_attack_and_draws_all_defences() -> None:
    stored = arena()
    name, one, eight, faces, *_ = figures.row(stored["defences"]["blur 1"])
    assert name == "informed network, gallery original"
    assert (one, eight, faces) == ("30 % (20 to 40)", "10 % (0 to 20)", "90 % (80 to 95)")
    assert figures.row(stored["defences"]["none 1"])[3] == "-"
    figure = figures.chart(stored)
    (legend,) = figure.legends
    told = {t.get_text(): (h.get_color(), h.get_marker())
            for t, h in zip(legend.get_texts(), legend.legend_handles, strict=True)}  # fmt: skip
    assert list(told)[:2] == ["none", "blur"] and len(set(told.values())) == len(told) == 9
