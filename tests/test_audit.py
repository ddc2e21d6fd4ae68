"""Claims about `privhead audit`, the attackers that ship trained, and the gallery that ships."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import answer, refused_call, run

from benchmarks.studies import attackers as study
from privhead_nb.errors import LabError
from privhead_nb.files import write_tensors
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import attackers, audit_live, audit_page, audit_rates, faces, sheet
from privhead_nb.lab.attacks.probe import in_batches, sides
from privhead_nb.lab.audit_rates import BEYOND, SHAPE, stored_rates
from privhead_nb.lab.framing import resized
from privhead_nb.lab.gallery import read_gallery
from privhead_nb.lab.recognisers.network import FaceNetwork
from privhead_nb.lab.settings import setting
from privhead_nb.privacy.operators import Operator
from privhead_nb.privacy.release import Release
from privhead_nb.resources import SAMPLES, WEIGHTS
from privhead_nb.scenes.images import write_image

RELEASE, HEAD = SAMPLES / "release", SAMPLES / "reconstruction"


@pytest.fixture(scope="module")
def release() -> Release:
    return Release.load(RELEASE)


@pytest.fixture
def untrained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Weights of networks that learned nothing: only the plumbing is tried."""
    folder = tmp_path / "weights"
    folder.mkdir()
    torch.manual_seed(0)
    for name in attackers.ON_MODULI:
        written(folder, name, FaceNetwork(1).state_dict())
    monkeypatch.setattr(attackers, "WEIGHTS", folder)
    attackers.trained.cache_clear()
    yield folder
    attackers.trained.cache_clear()


def written(folder: Path, name: str, tensors: dict[str, torch.Tensor], generator: int = 0) -> None:
    facts = {"generator": generator or GENERATOR_VERSION, "note": "nothing", "seed": 0}
    path = folder / f"attacker_{name}.safetensors"
    write_tensors(path, dict(tensors), {"facts": json.dumps(facts)})


# The gallery that ships ---------------------------------------------------------------------------


def test_the_shipped_gallery_is_the_first_made_people_and_small() -> None:
    known = sheet.shipped_gallery()
    assert sheet.GALLERY.stat().st_size <= 600_000
    assert set(known.identity.tolist()) == set(faces.people("evaluation", 100))
    assert len(known.frontals()) == 100 and len(known.views()) == 4 * 50
    assert known.views().yaw.abs().max() <= 45


@pytest.mark.slow
def test_the_shipped_gallery_is_what_its_people_look_like() -> None:
    person = 40_011
    again, known = faces.portraits(person, faces.GALLERY), sheet.shipped_gallery()
    kept = known.only(known.identity == person)
    front = again.frontals().pictures[:, 0].int()
    assert (front - kept.frontals().pictures[:, 0].int()).abs().max() <= 2
    for view in kept.views().pictures[:, 0].int():
        assert (again.views().pictures[:, 0].int() - view).abs().amax((1, 2, 3)).min() <= 2


def test_a_small_gallery_of_made_people_needs_no_portraits(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PRIVHEAD_LAB", str(tmp_path))
    known = read_gallery("7", "40003")
    assert known.names == tuple(map(str, range(40_000, 40_007))) and not any(tmp_path.iterdir())
    assert len(known.probes) == 4 * 7 and set(known.probes.identity.tolist()) == set(range(7))


# The shipped attackers ----------------------------------------------------------------------------


def test_the_shipped_weights_are_small_and_of_this_generator() -> None:
    names = [p.name for p in WEIGHTS.glob("attacker_*.safetensors")]
    assert sorted(names) == sorted(attackers.path_of(name).name for name in attackers.NAMES)
    assert sum(p.stat().st_size for p in WEIGHTS.iterdir()) <= 8_000_000
    for name in (attackers.MESH, attackers.RENDERS, attackers.NEUTRAL):
        assert "group attacker" in attackers.trained(name).note
    for pixels in (64, 32):
        assert "made people" in attackers.for_release(Operator(), pixels).note


def test_the_attacker_of_a_release_is_the_one_that_was_trained_for_it() -> None:
    exact = attackers.for_release(Operator(), 64)
    assert exact.name == attackers.SOBEL64 and exact.exact and "exactly this" in exact.fit
    among = attackers.for_release(*setting("blur-2"))
    assert among.name == attackers.ANY and among.exact and "blur-2 among them" in among.fit
    other = attackers.for_release(Operator(kind="scharr"), 48)
    assert other.name == attackers.ANY and not other.exact
    assert "other operators" in other.fit and "size 48 here" in other.fit
    with pytest.raises(LabError, match="downsample"):
        attackers.for_release(Operator(downsample="last"), 64)


@pytest.mark.parametrize("name", ["sobel-64", "sobel-16", "noise-0.1"])
def test_the_informed_attackers_know_made_people_again_from_one_picture(name: str) -> None:
    operator, size = setting(name)
    attack, known = attackers.for_release(operator, size).attack, sheet.shipped_gallery()
    views, fronts = known.views(), known.frontals()
    random = torch.Generator().manual_seed(3)
    seen = in_batches(attack.probe, operator.protect(resized(views.rgb(), size), random))
    alike = seen @ in_batches(attack.enrol, fronts.rgb()).T
    right = (fronts.identity[alike.argmax(1)] == views.identity).float().mean()
    assert right > 0.5  # chance 0.01; stored rates are 0.9 at the default, 0.6 at the hardest


def test_weights_of_another_generator_are_refused_and_the_audit_abstains(untrained: Path) -> None:
    written(untrained, attackers.SOBEL64, FaceNetwork(1).state_dict(), generator=99)
    with pytest.raises(LabError, match=r"generator is 99.*informed\.py"):
        attackers.for_release(Operator(), 64)
    refused_call("generator is 99", "attack", RELEASE)
    found = answer("audit", RELEASE)
    why = {row["attack"]: row["why"] for row in found["abstained"]}
    assert "generator is 99" in why["informed"]
    assert "missing" in why["neutral-palette"]  # none was written
    assert found["here"] == [] and found["best_guess"] is None
    assert "ABSTAINED" in audit_page.text(found)


def test_colours_are_no_moduli_and_templates_have_people(untrained: Path) -> None:
    written(untrained, attackers.ANY, FaceNetwork(3).state_dict())
    with pytest.raises(LabError, match="network of colours"):
        attackers.for_release(Operator(), 32)
    mesh = {
        **FaceNetwork(4).state_dict(),
        **study.templates([40_000, 40_001], gallery=torch.eye(2)),
    }
    written(untrained, attackers.MESH, mesh)
    kept = attackers.trained(attackers.MESH)
    assert torch.equal(kept.rows("gallery", [40_001]), torch.eye(2)[1:])
    assert kept.rows("gallery", [40_001, 40_002]) is None and kept.rows("others", [40_000]) is None
    attackers.trained.cache_clear()
    mesh[attackers.TEMPLATES + "people"] = torch.tensor([40_000])
    written(untrained, attackers.MESH, mesh)
    with pytest.raises(LabError, match="templates without a person"):
        attackers.trained(attackers.MESH)


# What an audit says -------------------------------------------------------------------------------


def test_an_audit_of_a_release_and_its_head_is_a_whole_report(tmp_path: Path) -> None:
    found = answer("audit", SAMPLES, "--truth", 40_003, "--out", tmp_path / "o")
    assert found["release"] == str(RELEASE) and found["reconstruction"] == str(HEAD)
    assert [row["attack"] for row in found["here"]] == list(audit_live.LIVE)
    assert found["abstained"] == []
    assert set(found["threat_model"]) == {"who", "knows", "wants", "may", "cannot"}
    assert found["released"]["neutral_views"] == 10 and found["released"]["head"]["triangles"] > 0
    for row in found["here"]:
        assert row["truth"]["person"] == "40003" and 1 <= row["truth"]["rank"] <= 100
        assert row["chance"] == 0.01 and row["leak"] in (SHAPE, BEYOND)
    assert json.loads((tmp_path / "o" / "audit.json").read_text()) == found
    page = (tmp_path / "o" / "audit.html").read_text()
    assert page.count("data:image/png;base64,") == 3 and "best guess" in page
    assert "src='http" not in page and "<script" not in page
    said = audit_page.text(found)
    for words in ("WORST", "THROUGH SHAPE", "BEYOND SHAPE", "Link test", "NOT TRIED", "threat"):
        assert words in said or words == "threat"


def test_two_halves_of_one_release_find_each_other() -> None:
    (row,) = [r for r in answer("audit", RELEASE)["here"] if r["attack"] == "informed"]
    link = row["link"]
    assert link["first"] and link["passed"] and link["among"] == 101
    assert link["of_made_people"] > 0.5
    value, low, _ = row["control"]["rank1"]
    assert value > 0.8 and low > 0.7 and row["control"]["people"] == 50


def test_halves_of_two_people_do_not_pass_for_one(release: Release, monkeypatch) -> None:
    """Every second view is another person's: as if two releases were mixed."""
    known = sheet.shipped_gallery()
    other = known.only(known.identity == 40_050).frontals()
    side = sides(release)
    near = [r for r in side.argsort().tolist() if abs(side[r]) <= 45]
    moduli = release.moduli.clone()
    moduli[near[1::2]] = release.operator.modulus(other.rgb())[0]
    mixed = replace(release, moduli=moduli)
    found = audit_live.informed(mixed, read_gallery("100"))["link"]
    assert not found["passed"]


def test_stored_rates_are_the_worst_first_and_of_the_right_setting() -> None:
    rates = stored_rates(Operator(), 64, neutral=True, moduli=True)
    assert rates.setting == "sobel-64" and not rates.differs
    for leak in (SHAPE, BEYOND):
        values = [row.rank1[0] for row in rates.of(leak)]
        assert values and values == sorted(values, reverse=True)
    stored = json.loads(audit_rates.PICTURES.read_text())["results"]["sobel-64.parrot-informed"]
    (mine,) = [row for row in rates.rows if row.attack == "parrot-informed"]
    assert list(mine.rank1) == stored["whole"]["release"]
    assert mine.fnmr[0] == pytest.approx(1 - stored["whole"]["tar"][0])
    near = stored_rates(Operator(kind="scharr"), 64, neutral=False, moduli=True)
    assert near.differs and not any("neutral" in row.attack for row in near.rows)
    assert "not this one's" in audit_page.setting_note({"stored": near.to_dict()})
    assert stored_rates(Operator(), 64, neutral=False, moduli=False).rows == ()


def test_what_shape_cannot_give_away_stands_beyond_shape(tmp_path: Path, monkeypatch) -> None:
    rate = {"rank1": [0.3, 0.2, 0.4], "fnmr": {"why": "too few"}}
    part = {"together": rate, "albedo": {"removed": [0.2, 0.1, 0.3]}, "chance": 0.05, "twins": 240}
    parts = {"sobel-64": part, "neutral": part, "forger": {"moduli": {"removed": [0.2, 0.1, 0.3]}}}
    path = tmp_path / "beyond_shape.json"
    path.write_text(json.dumps({"generator": GENERATOR_VERSION, "parts": parts}))
    monkeypatch.setattr(audit_rates, "TWINS", path)
    rates = stored_rates(Operator(), 64, neutral=True, moduli=True)
    rows = [row for row in rates.of(BEYOND) if "twins" in row.attack]
    assert len(rows) == 2 and all(row.chance == 0.05 and row.fnmr is None for row in rows)
    assert "20 % (10 to 30) of the mean skin's" in rows[0].note
    assert "moduli 20 % (10 to 30)" in audit_page.forger({"stored": rates.to_dict()})
    other = stored_rates(*setting("blur-2"), neutral=True, moduli=True)
    assert not other.forger
    assert any(
        r["why"] == "not measured at blur-2" for r in other.missing if "twins" in r["attack"]
    )


def test_missing_studies_are_said_to_be_missing(tmp_path: Path, monkeypatch) -> None:
    old = tmp_path / "old.json"
    old.write_text(json.dumps({"generator": -1}))
    for name, path in (("PICTURES", tmp_path / "none.json"), ("ARTEFACTS", old), ("TWINS", old)):
        monkeypatch.setattr(audit_rates, name, path)
    rates = stored_rates(Operator(), 64, neutral=True, moduli=True)
    assert rates.setting == "" and rates.rows == ()
    assert [row["attack"] for row in rates.missing] == ["none", "old", "old"]
    assert "not known" in audit_page.worst({"stored": rates.to_dict()})


# Releases unlike what was learned -----------------------------------------------------------------


def abstention(release: Release, tmp_path: Path, *more: Any) -> str:
    """Why the informed attacker abstains."""
    release.save(tmp_path / "r")
    found = answer("audit", tmp_path / "r", *more)
    assert all(row["attack"] != "informed" for row in found["here"])
    (why,) = [row["why"] for row in found["abstained"] if row["attack"] == "informed"]
    return why


def test_a_release_of_another_kind_gets_an_abstention_and_no_number(release, tmp_path) -> None:
    assert "its unit is unknown" in abstention(replace(release, unit="unknown"), tmp_path / "a")
    dark = replace(release, background=(0.1, 0.1, 0.1))
    assert "background is not white" in abstention(dark, tmp_path / "b")
    K = release.cameras.K.clone()
    K[:, :2, :2] *= 4
    near = replace(release, cameras=replace(release.cameras, K=K))
    assert "times as wide" in abstention(near, tmp_path / "c")
    empty = replace(release, moduli=torch.zeros_like(release.moduli))
    assert "not look like heads" in abstention(empty, tmp_path / "d")
    noise = torch.rand(release.moduli.shape, generator=torch.Generator().manual_seed(0))
    assert "not look like heads" in abstention(replace(release, moduli=noise), tmp_path / "e")


def test_an_operator_that_no_attacker_knows_is_answered_by_an_abstention(release, tmp_path) -> None:
    loud = Operator(noise=8.0)
    moduli = loud.protect(torch.rand(20, 64, 64, 3), torch.Generator().manual_seed(0))
    why = abstention(replace(release, operator=loud, moduli=moduli.clamp(max=loud.peak)), tmp_path)
    assert "knows this operator" in why or "not look like heads" in why
    last = replace(release, operator=Operator(downsample="last"))
    assert "downsample last" in abstention(last, tmp_path / "last")


def test_a_release_without_neutral_or_protected_views(release, tmp_path) -> None:
    seen = list(release.sensitive)
    bare = replace(
        release, neutral_images=release.neutral_images[:0], neutral=(), masks=None,
        masks_released="none", cameras=release.cameras[seen], sensitive=tuple(range(len(seen))),
    )  # fmt: skip
    bare.save(tmp_path / "bare")
    found = answer("audit", tmp_path / "bare")
    assert any(
        r["attack"] == "neutral views" and "has none" in r["why"] for r in found["not_tried"]
    )
    assert any("no neutral views" in row["why"] for row in found["abstained"])
    assert not any("neutral" in row["attack"] for row in found["stored"]["rows"][BEYOND])


# Wrong input --------------------------------------------------------------------------------------


def pictures(folder: Path, **named: np.ndarray) -> Path:
    folder.mkdir(parents=True)
    for name, picture in named.items():
        write_image(folder / f"{name}.png", picture)
    return folder


def test_what_a_user_can_mend_is_one_line(tmp_path: Path, release: Release) -> None:
    face = sheet.shipped_gallery().rgb()[0].numpy()
    blank = pictures(tmp_path / "blank", anna=face, bert=np.ones_like(face))
    other = tmp_path / "texts"
    other.mkdir()
    (other / "anna.txt").write_text("no picture")
    empty, two = tmp_path / "empty", tmp_path / "two"
    empty.mkdir()
    for name in ("a", "b"):
        release.save(two / name)
    scene = json.loads((HEAD / "report.json").read_text()) | {"input": "scene"}
    full = tmp_path / "full"
    full.mkdir()
    (full / "report.json").write_text(json.dumps(scene))
    for words, arguments in {
        "Give at least 2": [RELEASE, "--gallery", 1],
        "shows one colour": [RELEASE, "--gallery", blank],
        "is not in the gallery": [RELEASE, "--truth", 7],
        "is empty": [empty],
        "is a file": [RELEASE / "release.json"],
        "there is no such folder": [tmp_path / "nowhere"],
        "holds no release and no reconstruction": [other.parent / "texts"],
        "holds several releases: a, b": [two],
        "full-RGB baseline": [full],
        "Leave --release out": [RELEASE, "--release", two / "a"],
        "Name an empty or new folder": [RELEASE, "--out", other],
    }.items():
        refused_call(words, "audit", *arguments)


def test_a_gallery_without_faces_is_answered_by_an_abstention(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random((2, 64, 64, 3)).astype(np.float32)
    folder = pictures(tmp_path / "noise", anna=noise[0], bert=noise[1])
    found = answer("audit", RELEASE, "--gallery", folder)
    why = {row["attack"]: row["why"] for row in found["abstained"]}
    assert "gallery's pictures do not look like heads" in why["informed"]


def test_a_head_of_another_release_is_refused(tmp_path: Path, release: Release) -> None:
    luma = replace(release, operator=Operator(per_channel=False))
    luma.save(tmp_path / "luma")
    refused_call("made from another release", "audit", HEAD, "--release", tmp_path / "luma")


def test_protect_points_to_the_audit(tmp_path: Path) -> None:
    said = run("protect", SAMPLES / "scene", tmp_path / "r").stdout
    assert f"See what it gives away: privhead audit {tmp_path / 'r'}" in said


# What is written ----------------------------------------------------------------------------------

SHOWN = re.compile(r"<!-- audit: sample -->\n```\n(?P<shown>.*?)```\n<!-- end -->", re.DOTALL)
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def near(one: float, other: float) -> bool:
    """A few percent points, or hundredths of a similarity."""
    return abs(one - other) <= (0.03 if max(one, other) < 1.5 else 2 + 0.03 * other)


def test_the_document_shows_what_the_command_prints() -> None:
    """Part by part; numbers may differ a little between processors."""
    page = (Path(__file__).parents[1] / "docs" / "audit.md").read_text(encoding="utf-8")
    parts = [" ".join(p.split()) for p in SHOWN.search(page)["shown"].split("\n...\n")]
    printed = " ".join(audit_page.text(answer("audit", RELEASE)).split())
    printed = printed.replace(str(RELEASE), "data_samples/release")
    assert len(parts) >= 6
    for part in parts:
        words = map(re.escape, NUMBER.split(part))
        found = re.search(r"(\d+(?:\.\d+)?)".join(words), printed)
        assert found, part
        there = [float(number) for number in found.groups()]
        assert all(map(near, map(float, NUMBER.findall(part)), there)), (part, there)
