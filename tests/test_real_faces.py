"""Real faces: what is measured on them, and how it fails where there are none.

No picture of a real person is in the repository: those that need one are skipped without.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from benchmarks.studies import dlib_recogniser, real_faces, real_faces_data, real_faces_inversion
from benchmarks.studies.real_faces_attackers import (
    PICTURES,
    released,
)
from benchmarks.studies.real_faces_data import RealFaces
from privhead_nb.errors import LabError
from privhead_nb.resources import RESULTS

HERE = real_faces_data.folder()
needs_faces = pytest.mark.skipif(
    not (HERE / "s1").is_dir(), reason="no ORL faces: set PRIVHEAD_ORL to their folder"
)
WHY = "the extra `recognition` is not installed: docs/recognisers.md"
needs_dlib = pytest.mark.skipif(not dlib_recogniser.available(), reason=WHY)


def toy(people: int = 8, each: int = 6, noise: float = 0.1) -> RealFaces:
    """Patterns instead of faces: a person is one, a picture a noisy copy."""
    random = torch.Generator().manual_seed(0)
    patterns = torch.rand(people, 1, 8, 8, generator=random)
    who = torch.arange(people).repeat_interleave(each)
    x = torch.nn.functional.interpolate(patterns[who], size=(64, 64), mode="bilinear")[:, 0]
    x = (x + noise * torch.rand(x.shape, generator=random)).clamp(0, 1)
    small = x[..., None].expand(-1, -1, -1, 3)
    return RealFaces(small, small, who.numpy(), "toy")


@cache
def orl() -> RealFaces:
    return real_faces_data.orl_faces()


# The real ones ------------------------------------------------------------------------------------


@needs_faces
def test_forty_people_of_ten_pictures_are_read_and_framed():
    faces = orl()
    assert faces.small.shape == (400, 64, 64, 3) and faces.large.shape == (400, 256, 256, 3)
    assert np.array_equal(np.unique(faces.who), np.arange(1, 41))
    assert 0.3 < float(faces.small.mean()) < 0.6, "grey in [0, 1]"


@needs_faces
@pytest.mark.parametrize(("name", "least"), [(PICTURES, 0.5), ("sobel-64", 0.45)])
def test_moduli_of_strangers_name_them_far_above_chance(name, least):
    """Chance is 5 %; a linear attacker that learned twenty other people names most."""
    split = real_faces.strangers(orl().who, 0)
    seen = real_faces.Seen.of(orl().small, name, 0)
    found = seen.compared(seen.learned(split.learn, orl().who), split, orl().who)
    assert len(found.probe) == 180 and len(found.gallery) == 20
    assert not set(found.probe) & set(orl().who[split.learn]), "nobody tested was learned"
    assert real_faces.first_named([found]).value > least


# Its parts, on patterns ---------------------------------------------------------------------------


def test_a_split_keeps_people_and_pictures_apart():
    who = np.repeat(np.arange(10), 5)
    apart, same = real_faces.strangers(who, 3), real_faces.known(who, 3)
    assert len(apart.gallery) == 5 and len(apart.probes) == 20 and len(apart.learn) == 25
    assert not set(who[apart.learn]) & set(who[apart.gallery])
    for split in (apart, same):
        assert not set(split.gallery) & set(split.probes)
    assert len(np.intersect1d(same.learn, same.probes)) == 0
    assert not np.array_equal(apart.learn, real_faces.strangers(who, 4).learn)


def test_rates_of_patterns_are_near_one_and_their_names_shuffled_near_chance(monkeypatch):
    """The null control: where names mean nothing, chance comes out."""
    monkeypatch.setattr(real_faces, "RESAMPLES", 50)
    faces = toy(people=12, each=6)
    found = real_faces.linear_part(faces, ["sobel-64"])["sobel-64"]
    rank1, open_set = found["strangers"]["rank1"], found["open"]
    assert rank1[0] > 0.9 and found["closed"]["rank1"][0] > 0.9
    assert found["strangers"]["eer"][0] < 0.1 and open_set["fnir"][0] < 0.4
    assert set(found["strangers"]["fnmr_at_fmr_0.001"]) == {"why"}, "210 pairs show no FMR of 1e-3"
    random = np.random.default_rng(0)
    shuffled = RealFaces(faces.small, faces.large, random.permutation(faces.who), "toy")
    null = real_faces.linear_part(shuffled, ["sobel-64"])["sobel-64"]["strangers"]["rank1"]
    assert null[0] < 0.45, "chance is a sixth"


def test_the_owner_s_noise_is_not_the_attacker_s():
    faces = toy()
    seen = real_faces.Seen.of(faces.small, "noise-0.2", 0)
    assert len(seen.copies) == real_faces.NOISE_DRAWS
    assert all(not torch.equal(seen.released, copy) for copy in seen.copies)
    assert len(real_faces.Seen.of(faces.small, "sobel-32", 0).copies) == 1


def test_luma_is_the_same_modulus_of_grey_pictures():
    random = torch.Generator().manual_seed(0)
    grey = torch.rand(2, 64, 64, 1, generator=random).expand(-1, -1, -1, 3)
    both = [released(grey, name, random) for name in ("sobel-64", "luma")]
    assert torch.allclose(both[0], both[1], atol=1e-4), "in units of a quarter of the peak"


# Bad input ----------------------------------------------------------------------------------------


def write(folder: Path, people: int, each: int, size: tuple[int, int] = (112, 92)) -> Path:
    random = np.random.default_rng(0)
    for person in range(1, people + 1):
        (folder / f"s{person}").mkdir(parents=True)
        for k in range(1, each + 1):
            picture = random.integers(0, 255, size, dtype=np.uint8)
            cv2.imwrite(str(folder / f"s{person}" / f"{k}.pgm"), picture)
    return folder


def test_folders_without_faces_are_named(tmp_path):
    assert len(real_faces_data.orl_faces(write(tmp_path / "good", 4, 2)).who) == 8
    with pytest.raises(LabError, match=r"no ORL faces.*PRIVHEAD_ORL"):
        real_faces_data.orl_faces(tmp_path / "nowhere")
    (write(tmp_path / "texts", 4, 2) / "s2" / "1.pgm").write_text("no picture")
    with pytest.raises(LabError, match=r"1\.pgm: is no picture"):
        real_faces_data.orl_faces(tmp_path / "texts")
    with pytest.raises(LabError, match=r"1\.pgm: is no picture of 64 pixels"):
        real_faces_data.orl_faces(write(tmp_path / "tiny", 4, 2, (20, 20)))
    with pytest.raises(LabError, match="1 people with 3 to 3 pictures"):
        real_faces_data.orl_faces(write(tmp_path / "one", 1, 3))
    (write(tmp_path / "uneven", 4, 3) / "s3" / "2.pgm").unlink()
    with pytest.raises(LabError, match="2 to 3 pictures each"):
        real_faces_data.orl_faces(tmp_path / "uneven")


@needs_dlib
def test_pictures_without_a_face_are_named():
    with pytest.raises(LabError, match="HOG finds no face in 48 pictures"):
        real_faces_inversion.usual_box(toy().large)


def test_without_faces_the_study_says_so_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PRIVHEAD_ORL", str(tmp_path))
    out = tmp_path / "real_faces.json"
    monkeypatch.setattr(sys, "argv", ["real_faces.py", "linear", "--out", str(out)])
    with pytest.raises(SystemExit, match=r"skipped: .*there are no ORL faces"):
        real_faces.main()
    assert not out.exists()


def test_a_failed_download_is_a_clear_message(monkeypatch):
    def fails(**options):
        raise OSError("no network")

    monkeypatch.setattr("sklearn.datasets.fetch_olivetti_faces", fails)
    with pytest.raises(LabError, match=r"can't be had \(no network\).*PRIVHEAD_ORL"):
        real_faces_data.olivetti_faces()


# What is stored -----------------------------------------------------------------------------------


def test_stored_figures_hold_every_setting_chance_and_no_picture():
    found = json.loads((RESULTS / "real_faces.json").read_text())
    assert set(found["linear"]) == set(real_faces.SETTINGS) and found["people"] == 40
    for name, row in found["linear"].items():
        value, low, high = row["strangers"]["rank1"][:3]
        assert low <= value <= high, name
    default, pictures = (found["linear"][n]["strangers"]["rank1"] for n in ("sobel-64", PICTURES))
    assert default[1] > 5 * found["chance"]["strangers"], "real people are named from moduli"
    assert default[0] < pictures[0] + 0.05
    assert (RESULTS / "real_faces.json").stat().st_size < 50_000
    assert not [p for p in RESULTS.glob("real_faces*") if p.suffix != ".json"]
    learned, nothing = (
        found["network"]["sobel-64"][n]["rank1"] for n in ("these people", "nothing")
    )
    assert nothing[0] < learned[0], "the baseline that learned nothing stands beside"
    seen = found["inversion"]
    assert seen["pictures, 64 pixels"]["rank1"][1] > 0.9, "dlib knows these people"
    assert seen["inverted"]["rank1"][1] > 2 * found["chance"]["strangers"]
