"""Claims about `privhead attack` and `privhead study privacy`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from command import answer, refused_call, run
from front_faces import FACES
from safetensors.torch import load_file

from privhead_nb.lab import assessment, attacker_data, embed, faces, privacy_study
from privhead_nb.lab.attacker_data import AttackerData
from privhead_nb.lab.attacks import (
    REGISTRY,
    RELEASE,
    Card,
    decoder,
    field_renders,
    learned_inversion,
    mesh_shape,
    names,
    neutral_views,
    parrot,
    prior_free,
    radiance_refit,
)
from privhead_nb.lab.attacks.field_renders import learn_colour_blind
from privhead_nb.lab.gallery import Gallery
from privhead_nb.lab.match import Embeddings, match, thresholds
from privhead_nb.lab.picture_jobs import Size
from privhead_nb.lab.recognisers import Recogniser, head_crop
from privhead_nb.lab.recognisers.learn import Learning
from privhead_nb.resources import SAMPLES
from privhead_nb.scenes.images import read_image, write_image

PEOPLE = 6
BRIEF = Learning("arcface", epochs=1, batch=12)
TINY = Size(
    people=PEOPLE,
    attackers=PEOPLE,
    network=BRIEF,
    base=BRIEF,
    any=BRIEF,
    at_one=BRIEF,
    resamples=50,
)
LITTLE = ("--gallery", PEOPLE, "--people", PEOPLE, "--workers", 1)
CLASSICAL = ("--attack", "parrot-classical")
MADE = SAMPLES / "reconstruction"


@pytest.fixture(scope="module", autouse=True)
def _small_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Few portraits a person, of coarse heads, in a folder of their own."""
    few = faces.PortraitPlan(views=2, faces=1, rear=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PRIVHEAD_LAB", str(tmp_path_factory.mktemp("lab")))
        patch.setattr(faces, "surface_mesh", partial(faces.surface_mesh, spacing=8.0))
        patch.setattr(faces, "GALLERY", few)
        patch.setattr(faces, "LEARNING", replace(few, frontal=False, views=4))
        yield


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the evaluation group's fourth person."""
    folder = tmp_path_factory.mktemp("attacked")
    views = ("--neutral", 1, "--sensitive", 5, "--size", 32)
    answer("synth", folder / "scene", "--identity", 40003, *views)
    said = answer("protect", folder / "scene", folder / "release", "--size", 32)
    assert set(said["study"]) >= {"why", "command"}
    return folder / "release"


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    """Two people, one of them twice."""
    folder = tmp_path / "gallery"
    folder.mkdir()
    front = load_file(FACES)["front"].numpy() / 255.0
    for name, picture in (("anna", front[0, 0]), ("bert_1", front[1, 0]), ("bert_2", front[1, 1])):
        write_image(folder / f"{name}.png", picture)
    return folder


# Attacks ------------------------------------------------------------------------------------------


def test_an_attack_names_five_and_says_what_that_is_worth(release, tmp_path):
    told = (*LITTLE, *CLASSICAL, "--truth", 40003)
    found = answer("attack", release, *told, "--out", tmp_path / "a")
    assert found["attack"] == "parrot-classical" and found["views"] >= 1
    alike = [row["similarity"] for row in found["first"]]
    assert len(alike) == 5 and alike == sorted(alike, reverse=True)
    assert {row["person"] for row in found["first"]} <= set(map(str, range(40000, 40006)))
    assert found["gallery"]["people"] == 6 and found["chance"] == pytest.approx(1 / 6, abs=1e-5)
    assert set(found["card"]) == {"attack", "knowledge", "data", "cost", "seed"}
    assert "24 portraits of 6 other people" in found["card"]["data"]
    assert "Someone always comes first" in found["warning"]
    assert [row["why"] for row in found["thresholds"]] == [
        "30 non-mated pairs can't show a FAR of 0.001: 1,000 needed",
        "30 non-mated pairs can't show a FAR of 0.01: 100 needed",
    ]
    assert 1 <= found["truth"]["rank"] <= 6
    assert json.loads((tmp_path / "a" / "attack.json").read_text()) == found
    again = run("attack", release, *told)
    assert again.exit_code == 0 and "Making" not in again.stderr  # portraits are kept
    for words in ("Someone always comes first", "rank", "knowledge", "seed", "30 non-mated pairs"):
        assert words in again.stdout


def test_ctrl_c_says_how_to_go_on_and_the_first_call_how_long(release, tmp_path, monkeypatch):
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt("3 of 50 jobs are finished; run the same command again")

    monkeypatch.setenv("PRIVHEAD_LAB", str(tmp_path))
    monkeypatch.setattr(faces, "run_jobs", stop)
    monkeypatch.setattr(privacy_study, "run", stop)
    done, study = run("attack", release, "--gallery", 150), run("study", "privacy")
    for stopped in (done, study):
        assert stopped.exit_code == 130
        assert "interrupted; 3 of 50 jobs are finished; run the same" in stopped.stderr
    assert "portraits of 150 made people, once: about 300 s on one core" in done.stderr


def test_a_gallery_may_be_a_folder_of_pictures(release, gallery):
    learning = (*CLASSICAL, "--people", PEOPLE, "--workers", 1)
    found = answer("attack", release, "--gallery", gallery, *learning, "--truth", "bert")
    assert {row["person"] for row in found["first"]} == {"anna", "bert"}
    assert found["gallery"] == {"people": 2, "pictures": 3, "from": str(gallery)}
    assert found["truth"]["person"] == "bert"


def test_prior_free_guesses_are_pictures_and_nobody_is_named(release, tmp_path, monkeypatch):
    monkeypatch.setattr(prior_free, "suited", partial(prior_free.suited, steps=20, starts=1))
    out = tmp_path / "guesses"
    found = answer("attack", release, "--attack", "prior-free", "--views", 2, "--out", out)
    assert "first" not in found and len(found["guesses"]) == 2
    for view, guess in found["guesses"].items():
        assert read_image(out / f"{view}.png").shape == (32, 32, 3)
        assert guess["misfit"] > 0 and 0 < guess["share"] < 2
    said = run("attack", release, "--attack", "prior-free", "--out", tmp_path / "b")
    assert "proves nothing" in said.stdout


@pytest.fixture(scope="module")
def data_of_one() -> AttackerData:
    return attacker_data.attacker_person(30_000, 8.0)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, data_of_one: AttackerData) -> None:
    """Every attack in a few steps, with a recogniser of pixels: only the plumbing is tried."""

    def pixels(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(head_crop(x), 4).flatten(1) - 0.5

    def person(identity: int, shift: int) -> AttackerData:
        names = ("neutral", "behind", "scan", "atlas")
        rolled = {name: getattr(data_of_one, name).roll(shift, -2) for name in names}
        return replace(data_of_one, identity=torch.tensor([identity]), **rolled)

    def some(who: Any, **_: Any) -> AttackerData:
        return AttackerData.join([person(identity, k) for k, identity in enumerate(who)])

    for module, name, brief in (
        (embed, "recogniser", lambda _: Recogniser("pixels", pixels)),
        (attacker_data, "attacker_data", some),
        (parrot, "CNN", BRIEF),
        (learned_inversion, "DEFAULT", replace(learned_inversion.SMALL, steps=2, eyes=BRIEF)),
        (decoder, "Descent", partial(decoder.Descent, steps=2, starts=1)),
        (embed, "SEEN", 1),
        (embed, "WITH_CODES", BRIEF),
        (mesh_shape, "ShapeLearning", partial(mesh_shape.ShapeLearning, steps=2, batch=4)),
        (radiance_refit, "Refit", partial(radiance_refit.Refit, steps=2, starts=(0.0,))),
        (field_renders, "learn_colour_blind", partial(learn_colour_blind, steps=2, batch=8)),
        (neutral_views, "Learning", partial(Learning, batch=64)),
    ):
        monkeypatch.setattr(module, name, brief)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", [n for n, e in REGISTRY.items() if not e.pictures_only])
def test_every_attack_runs(name, release, tmp_path):
    out, on_release = tmp_path / "o", name in names(RELEASE)
    more = ["--release", SAMPLES / "release"] if REGISTRY[name].needs_release else []
    source = release if on_release else MADE
    found = answer("attack", source, "--attack", name, *LITTLE, "--views", 2, "--out", out, *more)
    assert len(found["first"]) == 5
    makes_pictures = name in ("inversion", "decoder", "no-attack", "no-attack-inverted")
    assert len(list(out.glob("*.png"))) == (2 if makes_pictures else 0)
    assert ("guesses" in found) == makes_pictures
    if not on_release:
        assert all("reconstructions of other people" in row["why"] for row in found["thresholds"])


# Thresholds ---------------------------------------------------------------------------------------


def embeddings(similarity: float, people: int = 40) -> Embeddings:
    """People on axes of their own; all others are 0.1 alike."""
    own = torch.eye(people)
    probe = own[0] * similarity + own[1] * (1 - similarity**2) ** 0.5
    return Embeddings(
        card=Card("a", "b", "c", "d", 0),
        probe_embedding=torch.nn.functional.normalize(probe, dim=0),
        views=3,
        gallery=own,
        who=torch.arange(people),
        others=torch.nn.functional.normalize(own + 0.1, dim=1),
        other=torch.arange(people),
    )


def people_of(count: int) -> Gallery:
    return Gallery(None, None, tuple(map(str, range(count))), (), "here")


def test_a_threshold_comes_from_pairs_of_different_people_where_there_are_enough():
    found = match(embeddings(0.9), people_of(40), "1")
    strict, loose = found["thresholds"]
    assert strict["pairs"] == 40 * 39 and "threshold" in strict and "30,000" in strict["note"]
    assert 0 < loose["threshold"] < 0.2 and loose["passed"]
    assert found["truth"] == {"person": "1", "rank": 2, "similarity": pytest.approx(0.4359)}
    few = thresholds(embeddings(0.9, 11), 11, 0.9)
    assert "1,000 needed" in few[0]["why"] and "note" in few[1]
    same = replace(embeddings(0.9, 5), gallery=torch.eye(5)[:1].expand(5, -1))
    assert match(same, people_of(5), "3")["truth"]["rank"] == 3.0  # ties give no advantage


# Wrong input --------------------------------------------------------------------------------------


def wrong(release: Path, gallery: Path, tmp: Path) -> dict[str, list[object]]:
    full, last = tmp / "full", tmp / "last"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    answer("protect", release.with_name("scene"), last, "--size", 32, "--downsample", "last")
    nobody = ["attack", release, "--attack", "prior-free", "--out", tmp / "o", "--truth", 1]
    return {
        "Check the path": ["attack", tmp / "nowhere"],
        "privhead protect": ["attack", full],
        "parrot-two-stems": ["attack", release, "--attack", "magic"],
        "It is called no-attack now": ["attack", release, "--attack", "shown"],
        "mesh-matching": ["attack", MADE, "--attack", "parrot-cnn"],
        "privhead reconstruct": ["attack", release, "--attack", "field-renders"],
        "--out FOLDER": ["attack", release, "--attack", "prior-free"],
        "Leave --truth out": nobody,
        "--release FOLDER": ["attack", MADE, "--attack", "radiance-refit", *LITTLE],
        "Use mesh-two-stems": ["attack", MADE, "--attack", "mesh-network", "--gallery", gallery],
        "takes a number of made people": ["attack", release, "--gallery", tmp / "nobody"],
        "make the gallery larger": ["attack", release, *LITTLE, "--truth", 7],
        "--downsample first": ["attack", last, *LITTLE],
        "Name an empty or new folder": ["attack", release, "--out", full],
        "Settings: sobel-64": ["study", "privacy", "--settings", "fog"],
        "Attacks on pictures: no-attack": ["study", "privacy", "--attacks", "magic"],
        "called no-attack-hog now": ["study", "privacy", "--attacks", "shown-hog"],
        "Leave --small out": ["study", "privacy", "--small", "--store", tmp / "x.json"],
    }


def test_what_a_user_can_mend_is_one_line_and_exit_code_2(release, gallery, tmp_path):
    for words, arguments in wrong(release, gallery, tmp_path).items():
        refused_call(words, *arguments)
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    assert not any((tmp_path / name).exists() for name in ("o", "x.json"))
    listed = " ".join(run("attack", "--help").stdout.split())
    assert all(f"{name}:" in listed for name in REGISTRY)


# The study ----------------------------------------------------------------------------------------


def test_a_small_study_runs_and_names_the_worst_attack(tmp_path, monkeypatch):
    monkeypatch.setattr(privacy_study, "LITTLE", TINY)
    common = ("study", "privacy", "--small", "--workers", 1, "--out", tmp_path / "s")
    common += ("--attacks", "parrot-classical", "--settings")
    both = answer(*common, "sobel-16,luma")
    assert both["jobs"] == 2 and list(both["settings"]) == ["sobel-16", "luma"]
    worst = both["settings"]["sobel-16"]["alone"]
    value, low, high = worst["rank1"]
    assert 0 <= low <= value <= high <= 1 and worst["attack"] == "parrot-classical"
    said = run(*common, "luma")
    assert said.exit_code == 0
    for words in ("sobel-16", "luma", "parrot-classical", " to ", "of 1", "Chance", "2 finished"):
        assert words in said.stdout


def test_a_full_study_stores_what_protect_then_says(tmp_path, monkeypatch, release):
    stored = tmp_path / "results" / "privacy.json"
    monkeypatch.setattr(privacy_study, "FULL", TINY)
    found = answer(
        "study", "privacy", "--workers", 1, "--out", tmp_path / "s", "--settings",
        "sobel-32", "--attacks", "parrot-classical", "--store", stored,
    )  # fmt: skip
    assert found["store"] == str(stored)
    monkeypatch.setattr(assessment, "RESULTS", stored)
    scene = release.with_name("scene")
    said = answer("protect", scene, tmp_path / "r", "--size", 32)["study"]
    assert said["setting"] == "sobel-32" and said["differs"] == []
    assert said["people"] == PEOPLE and said["together"]["attack"] == "parrot-classical"
    shown = run("protect", scene, tmp_path / "q", "--size", 32, "--noise", 0.1).stdout
    assert "sobel-32 is the nearest (noise 0.1 here, 0.0 there)" in shown
    assert "Next: privhead reconstruct" in shown


def test_all_jobs_are_wanted_but_inversion_only_at_some_settings():
    jobs = privacy_study.wanted([], [], small=False)
    assert ("noise-0.2", "inversion") not in jobs and ("sobel-64", "inversion") in jobs
    assert ("noise-0.2", "inversion") in privacy_study.wanted([], ["inversion"], small=False)
    assert len(privacy_study.wanted([], [], small=True)) == 4
