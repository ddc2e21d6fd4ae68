"""Claims about lesson 6: checks know right from wrong, pictures draw, the study is stored."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from answers import failed
from PIL import Image
from scipy import ndimage

from privhead_nb.lab.attacks import multiplicity, poisson
from privhead_nb.privacy.operators import Operator
from privhead_nb.teach import checks, lab_runs, small_album, widgets
from privhead_nb.teach.lesson06 import faces, irreversibility, panel, strong_attacks, strong_plots

ROOT = Path(__file__).parents[1]
from benchmarks.studies import inversion as inversion_study  # noqa: E402

# Checks -------------------------------------------------------------------------------------------


def right_0601(steps):
    count = 0
    for signs in itertools.product((1, -1), repeat=len(steps)):
        place = low = high = 0.0
        for sign, step in zip(signs, steps, strict=True):
            place += sign * step
            low, high = min(low, place), max(high, place)
        count += high - low <= 1 + 1e-9
    return count


def right_0602(picture, inside):
    rim = ndimage.binary_dilation(inside) & ~inside
    level = picture[rim].mean(axis=0)
    out = picture.copy()
    out[inside] = 2 * level - out[inside]
    return out


def right_0603(guess, truth):
    x, y = guess - guess.mean(), truth - truth.mean()
    left = ((y - np.sign((x * y).sum()) * x) ** 2).sum()
    return 1 - left / (y**2).sum()


def right_0604(right, down):
    return poisson.from_differences(np.asarray(right), np.asarray(down))


def right_0605(similarity, own, share):
    ranks = [sum(row >= row[column]) for row, column in zip(similarity, own, strict=True)]
    return next(k for k in range(1, 100) if np.mean([r <= k for r in ranks]) >= share - 1e-9)


RIGHT = {
    "ex0601": right_0601,
    "ex0602": right_0602,
    "ex0603": right_0603,
    "ex0604": right_0604,
    "ex0605": right_0605,
}


@pytest.mark.parametrize("number", RIGHT)
def test_a_right_answer_passes(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    getattr(checks, number)(RIGHT[number])
    assert capsys.readouterr().out.startswith(f"{number} passed: ")


def one_hot(own, table):
    return np.eye(table.shape[1])[own]


SLIPS: dict[str, list[tuple[Callable[..., Any], str]]] = {
    "ex0601": [
        (lambda steps: 2 ** len(steps), "all choices of signs"),
        (
            lambda steps: sum(
                abs(np.dot(s, steps)) <= 1 + 1e-9
                for s in itertools.product((1, -1), repeat=len(steps))
            ),
            "on its way",
        ),
        (
            lambda steps: sum(
                np.ptp(np.cumsum(np.multiply(s, steps))) <= 1 + 1e-9
                for s in itertools.product((1, -1), repeat=len(steps))
            ),
            "forget the start",
        ),
    ],
    "ex0602": [
        (lambda p, i: np.where(i[..., None], 1 - p, p), "mirror about 0.5"),
        (lambda p, i: np.where(i[..., None], 2 * p[i].mean(0) - p, p), "not about the mean inside"),
        (lambda p, _: 2 * p[0, 0] - p, "only the part"),
    ],
    "ex0603": [
        (
            lambda x, y: (
                1 - ((x - x.mean() - y + y.mean()) ** 2).sum() / ((y - y.mean()) ** 2).sum()
            ),
            "try the negative",
        ),
        (lambda x, y: 1 - ((x - y) ** 2).sum() / ((y - y.mean()) ** 2).sum(), "c is free"),
        (
            lambda x, y: (
                ((x - x.mean()) * (y - y.mean())).sum() ** 2
                / max(((x - x.mean()) ** 2).sum() * ((y - y.mean()) ** 2).sum(), 1e-12)
            ),
            "forgives a wrong contrast",
        ),
    ],
    "ex0604": [
        (lambda r, d: -right_0604(r, d), "negative"),
        (lambda r, d: right_0604(r, d) - right_0604(r, d)[0, 0], "not the first pixel"),
    ],
    "ex0605": [
        (lambda table, own, share: right_0605(table, own, share) - 1, "keep one more"),
        (lambda table, own, share: right_0605(-table, own, share), "most similar comes first"),
        (
            lambda table, own, share: right_0605(table + 1e-6 * one_hot(own, table), own, share),
            ">=",
        ),
    ],
}


@pytest.mark.parametrize(
    ("number", "slip", "words"),
    [(number, slip, words) for number, slips in SLIPS.items() for slip, words in slips],
)
def test_a_slip_is_recognised(
    number: str, slip: Callable[..., Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert words in failed(capsys, number, slip)


def test_sums_along_rows_are_right_until_differences_do_not_fit(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def summed(right, down):
        start = np.concatenate([[0], np.cumsum(down[:, 0])])[:, None]
        rows = np.concatenate([start, start + np.cumsum(right, axis=1)], axis=1)
        return rows - rows.mean()

    said = failed(capsys, "ex0604", summed)
    assert "differences that no picture has" in said and "come nearest" in said


@pytest.mark.parametrize("number", ["ex0602", "ex0604"])
def test_a_wrong_shape_is_refused(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = failed(capsys, number, lambda first, _: np.asarray(first)[:-1])
    assert "yours has the shape" in said


# Panel and figures --------------------------------------------------------------------------------


def pixels(view: widgets.View) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(view.png())).convert("L"))


def test_the_panel_draws_at_the_ends_of_every_control() -> None:
    for name, control in panel.controls().items():
        values = widgets.values_of(control)
        for value in (values[0], values[-1]):
            view = panel.picture(**panel._REST | {name: value})
            assert pixels(view).std() > 10 and len(view.alt) > 80 and "moduli by" in view.facts


def test_the_panels_other_picture_has_the_modulus_unless_there_is_noise() -> None:
    for setting in panel.TWIN:
        given = {k: setting[k] for k in ("subject", "turn", "flips", "stripes")}
        truth = panel._subject(setting["subject"])
        off = Operator().modulus(panel.other(**given)) - Operator().modulus(truth)
        assert float(off.abs().max()) < 1e-6
    noisy = panel.picture(**panel._REST | {"noise": 0.1})
    assert float(noisy.facts.split("moduli by ")[1].split()[0]) > 0.05


def test_the_panel_says_when_a_picture_leaves_the_range() -> None:
    assert "does NOT fit" in panel.picture(**panel._REST | {"flips": 1}).facts
    assert "one fits into" in panel.picture(**panel._REST | {"turn": 120}).facts.replace(
        "other picture fits", "one fits"
    )


def test_the_twin_shows_all_its_settings() -> None:
    image = widgets.twin(panel.picture, panel.TWIN, columns=1)
    alt = image._repr_mimebundle_()[1]["image/png"]["alt"]
    assert alt.count("Four tiles") == len(panel.TWIN)


def test_the_figures_draw() -> None:
    head = faces.front(32)[3, 0]
    for figure in (
        irreversibility.walks([0.5, 0.3, 0.4]),
        irreversibility.gallery([{"a": head, "m": Operator().modulus(head)}, {"a": head}]),
        irreversibility.likeness({"one": 0.9, "two": -0.5}, np.array([-3.0, 0.1])),
        irreversibility.study(),
    ):
        view = widgets.View(figure, "")
        assert pixels(view).std() > 10


def test_colours_out_of_range_and_moduli_can_be_drawn() -> None:
    wild = irreversibility.drawn(torch.tensor([[[-1.0, 0.5, 2.0]]]))
    assert wild.tolist() == [[[0.0, 0.5, 1.0]]]
    assert irreversibility.drawn(torch.zeros(4, 5)).shape == (4, 5, 3)


# What is stored -----------------------------------------------------------------------------------


def test_the_stored_faces_are_the_made_heads() -> None:
    """One of them, rendered again."""
    from privhead_nb.heads.synthetic import synthetic_scene

    scene = synthetic_scene(1, neutral=0, sensitive=1, size=64)
    assert faces.front(64).shape == (24, 2, 64, 64, 3)
    assert float((scene.images[0] - faces.front(64)[1, 0]).abs().mean()) < 0.005


def test_every_run_of_the_study_is_stored_once() -> None:
    keys = [(r["setting"], r["person"], r["seed"]) for r in faces.runs()]
    assert sorted(keys) == sorted(inversion_study.wanted())
    stored = json.loads(inversion_study.RUNS.read_text())
    assert stored["settings"] == json.loads(json.dumps(inversion_study.SETTINGS))
    for name in ("faces.safetensors", "inversion.safetensors"):
        assert (faces.RESULTS / name).stat().st_size < 1_000_000


def test_a_stored_run_comes_out_again() -> None:
    """The positive control, which does not depend on the last digits of a machine."""
    row, guess = inversion_study.attack("signed gradients", 3, 0)
    stored = next(
        r
        for r in faces.runs()
        if (r["setting"], r["person"], r["seed"]) == ("signed gradients", 3, 0)
    )
    assert row["explained"] == pytest.approx(stored["explained"], abs=0.02)
    assert float((guess.double() - faces.guess("signed gradients", 3)).abs().mean()) < 0.03


def test_what_the_lesson_says_of_the_study() -> None:
    median = {name: float(np.median(faces.of_people(name))) for name in faces.settings()}
    assert median["signed gradients"] > 0.95 and median["another's modulus"] < -0.3
    assert median["as released"] > 0.6
    assert median["noise 0.1"] < median["noise 0.03"] < median["noise 0.01"]
    assert median["background unknown"] < 0.3 < median["as released"]
    plain = faces.of_people("as released")
    gains = {name: int((faces.of_people(name) > plain).sum()) for name in faces.settings()}
    assert min(gains["blur 0.5"], gains["blur 1"], gains["32 pixels"]) >= 7
    assert max(gains["noise 0.03"], gains["noise 0.1"], gains["background unknown"]) == 0
    assert gains["64 pixels"] <= 2 and gains["luma only"] <= 3 and 2 <= gains["noise 0.01"] <= 6


def test_an_interval_holds_the_median_and_shrinks_to_it() -> None:
    values = np.random.default_rng(0).normal(size=12)
    low, high = faces.interval(values)
    assert low < np.median(values) < high
    assert faces.interval(np.full(8, 0.5)) == (0.5, 0.5)


def test_the_nearest_is_the_same_picture() -> None:
    gallery = faces.front(32)[:6, 0]
    assert faces.nearest(gallery.flip(0), gallery).tolist() == [5, 4, 3, 2, 1, 0]
    others = faces.of_others(gallery[0], gallery, torch.ones(32, 32))
    assert others.argmax() == 0 and others[0] == pytest.approx(1)


def test_a_face_is_one_part_and_its_negative_does_not_fit() -> None:
    for head in faces.front(48)[:4, 0]:
        assert multiplicity.parts(Operator().modulus(head))[1] == 1
        assert not multiplicity.in_range(multiplicity.flipped(head, Operator(), 1))


def test_a_cartoon_scores_and_a_face_is_more_than_a_cartoon() -> None:
    """What section 9 says of hair and skin, and of the face alone."""
    head, where = faces.front(48)[2, 0], torch.ones(48, 48, dtype=torch.bool)
    toned = faces.two_tones(head, where)
    assert len(toned.reshape(-1, 3).unique(dim=0)) == 2
    assert torch.allclose(toned.mean((0, 1)), head.mean((0, 1)))
    cartoons = faces.cartoons()
    assert 0.6 < float(np.median(cartoons)) < 0.8 and 0.3 < cartoons.min() < cartoons.max() < 0.95
    strangers = faces.best_strangers()
    assert (faces.in_the_face("as released") < strangers).all()
    assert (faces.in_the_face("blur 1") > strangers).all()
    assert (faces.in_the_face("noise 0.1") < 0).all()


def test_the_window_holds_no_wall() -> None:
    assert int(faces.window().sum()) == 14 * 12 and int(faces.window(32).sum()) == 10 * 8
    assert float(faces.front(48)[:, 0][:, faces.window()].amin(-1).max()) < 0.85


def test_a_level_that_is_not_the_part_s_own_is_recognised(capsys: Any) -> None:
    def of_corner(picture: Any, inside: Any) -> Any:
        return np.where(inside[..., None], 2 * picture[0, 0] - picture, picture)

    def of_all(picture: Any, inside: Any) -> Any:
        level = np.median(picture[~inside], axis=0)
        return np.where(inside[..., None], 2 * level - picture, picture)

    assert "another sea" in failed(capsys, "ex0602", of_corner)
    assert "edge cuts" in failed(capsys, "ex0602", of_all)


# The strong attacks -------------------------------------------------------------------------------


def test_turned_pictures_are_preimages() -> None:
    probes = small_album.stored().views().rgb()[:3]
    assert strong_attacks.turned(probes, 0) is probes
    other = strong_attacks.turned(probes, 120)
    assert (other - probes).abs().mean() > 0.05
    assert (Operator().modulus(other) - Operator().modulus(probes)).abs().max() < 1e-5


def test_turned_pictures_fool_a_network_of_pictures() -> None:
    known = small_album.stored()
    gallery, probes = known.frontals(), known.views()
    own = strong_attacks.columns(probes, gallery)
    assert torch.equal(gallery.identity[own], probes.identity)
    for degrees, low, high in ((0, 0.9, 1.0), (120, 0.0, 0.3), (240, 0.0, 0.3)):
        shown = strong_attacks.turned(probes.rgb(), degrees)
        right = strong_attacks.looked_at(shown, gallery).argmax(1) == own
        assert low <= float(right.float().mean()) <= high


def test_a_crowd_is_the_whole_town_for_a_guess_and_nobody_for_an_oracle() -> None:
    random = np.random.default_rng(0)
    guess, own = random.uniform(size=(4000, 20)), random.integers(0, 20, 4000)
    assert abs(strong_attacks.crowd(guess, own, 0.9) - 18) <= 1
    assert strong_attacks.crowd(one_hot(own, guess), own, 1.0) == 1
    assert strong_attacks.crowd(np.zeros((5, 20)), own[:5], 0.5) == 20, "ties stand before"


def test_the_table_has_every_attack_and_its_command(tmp_path: Path) -> None:
    text = strong_attacks.table()
    assert text.count("knows ") == len(strong_attacks.rows()) == text.count("python benchmarks/")
    for row in strong_attacks.rows():
        assert (ROOT / row.command.split()[1]).is_file()
        assert not row.alone.known or row.people >= 2
    rate = [0.4, 0.2, 0.6]
    judged = {"recognisers": {"a": {"right": {"rank1": rate}, "people": 10}}}
    judged["recognisers"]["b"] = {"right": {"rank1": [0.3, 0.1, 0.5]}, "people": 10}
    names = ("among", "to_truth", "to_others", "colour", "pattern", "misfit")
    medians = {name: [0, 0.5, 1] for name in names}
    files = {
        "synthesis": {
            "decoder": {"command": "python benchmarks/x.py", "modulus": judged},
            "oracle": {"command": "python benchmarks/y.py", "rates": {"modulus": judged}},
        },
        "diffusion": {"command": "python benchmarks/z.py", "guided": judged | medians},
        "artefacts": {
            "command": "python benchmarks/w.py",
            "heads": {"sobel-64": {"worst_attack": "mesh", "worst_rank1": rate, "people": [1, 2]}},
        },
    }
    for name, value in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    made_up = {row.attack: row for row in strong_attacks.rows(tmp_path)}
    assert made_up["synthesis, true generator"].alone.source == "a"
    assert made_up["mesh or field: mesh"].people == 2
    assert strong_attacks.table(tmp_path).count("40 % (20 to 60)") == 4
    assert strong_attacks.samples(tmp_path) == dict.fromkeys(medians, 0.5)
    assert strong_attacks.samples(tmp_path / "none") is None


def test_what_the_last_section_says_of_stored_attacks() -> None:
    parrot = {n: lab_runs.rate(n, "parrot-classical") for n in lab_runs.settings()}
    eight = {
        n: lab_runs.rate(n, "parrot-classical", taken="eight together") for n in lab_runs.settings()
    }
    plain = parrot["sobel-64"]
    assert 0.45 < plain.value < 0.6 and eight["sobel-64"].value > 0.85 and len(parrot) == 15
    assert max(lab_runs.rate("sobel-64", n).high for n in ("shown", "shown-inverted")) < 0.1
    assert min(r.low for r in (*eight.values(), *parrot.values())) > 1 / lab_runs.people()
    for name in ("blur-1", "blur-2", "sobel-32", "sobel-16"):
        assert abs(parrot[name].value - plain.value) < 0.1
    for name in ("noise-0.2", "levels-2", "sobel-16-noise-0.2"):
        assert parrot[name].high < plain.low
    assert strong_attacks.strongest().alone.value > 0.85


def test_the_last_sections_figures_draw() -> None:
    table, own = torch.rand(8, 5, generator=torch.Generator()), torch.zeros(8, dtype=torch.long)
    both = {"one picture": table, "four together": table[:5]}
    owns = {"one picture": own, "four together": own[:5]}
    for figure in (strong_plots.first_so_many(both, owns), strong_plots.by_setting()):
        assert pixels(widgets.View(figure, "")).std() > 10
