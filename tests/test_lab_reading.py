"""Claims about what the lab reads: galleries, kept tensors, stored results and weights."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from benchmarks.studies.artefact_pictures import read_artefacts
from benchmarks.studies.image_conditions import keep, kept
from privhead_nb import resources
from privhead_nb.errors import LabError, PrivheadError
from privhead_nb.lab import picture_jobs, recommendation
from privhead_nb.lab.attacker_data import AttackerData
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.gallery import read_gallery
from privhead_nb.lab.jobs import run_jobs, safe_name
from privhead_nb.lab.kept import restore
from privhead_nb.lab.privacy_study import stored
from privhead_nb.lab.recognisers import stored as recognisers
from privhead_nb.lab.recognisers.network import FaceNetwork
from privhead_nb.lab.run_attack import AttackRequest, run_attack
from privhead_nb.privacy.operators import Operator

BIG = '{"a": 1' + "0" * 400 + "}"
BAD_JSON = ("", "[1]", BIG, "[" * 100_000, '{"a": NaN}', "\0", '{"a": 1e999}')


def refused(said: str, problem: type[PrivheadError] = LabError) -> pytest.RaisesExc:
    return pytest.raises(problem, match=said)


# Galleries ---------------------------------------------------------------------------------------


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    folder = tmp_path / "gallery"
    folder.mkdir()
    for i, name in enumerate(("anna", "bert_1", "bert_2")):
        pixels = np.full((20, 20, 3), 40 * i, np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def test_a_gallery_is_its_pictures_whatever_a_system_left_beside_them(gallery: Path) -> None:
    (gallery / ".DS_Store").write_bytes(b"x")
    (gallery / "._anna.png").write_bytes(b"x")
    (gallery / "notes.txt").write_text("x")
    assert read_gallery(str(gallery)).names == ("anna", "bert")


def test_what_is_no_folder_and_no_count_is_no_gallery(gallery: Path) -> None:
    for name in ("n" * 300, "a\0b", "nothing", "anna.png"):
        with refused("no such folder|can't be read"):
            read_gallery(str(gallery / name))
    for count in ("0", "1", "9" * 5000, "99999"):
        with refused("gallery|people of group"):
            read_gallery(count)
    for source in ("n" * 300, "a\0b", "nothing"):
        with refused("no such folder"):
            run_attack(gallery / source, AttackRequest())


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31mb", "a\udcffb", "a\u202eb"])
def test_a_name_that_cant_be_shown_is_refused(gallery: Path, name: str) -> None:
    (gallery / "anna.png").rename(gallery / f"{name}.png")
    with refused("can't be shown") as caught:
        read_gallery(str(gallery))
    assert str(caught.value).isprintable()


def test_a_picture_that_isnt_square_says_what_to_give(gallery: Path) -> None:
    Image.new("RGB", (20, 21)).save(gallery / "anna.png")
    with refused("is 20 x 21 pixels.*square pictures of 16 pixels"):
        read_gallery(str(gallery))


@pytest.mark.parametrize("kind", ["TIFF", "BMP", "EPS", "JPEG", "GIF"])
def test_another_format_under_the_name_of_a_png_is_never_opened(
    gallery: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (20, 20)).save(gallery / "anna.png", kind)
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("started a program"))
    with refused("not the PNG", PrivheadError):
        read_gallery(str(gallery))


@pytest.mark.parametrize("damage", ["empty", "cut", "folder", "broken link"])
def test_a_damaged_picture_is_named_and_not_left_out(gallery: Path, damage: str) -> None:
    path = gallery / "anna.png"
    data = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage == "broken link":
        path.symlink_to("nothing")
    else:
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else b"")
    with refused(r"anna\.png", PrivheadError):
        read_gallery(str(gallery))


# Kept tensors ------------------------------------------------------------------------------------


def damage(path: Path, how: str) -> None:
    """Spoil a file of tensors."""
    if how == "cut":
        path.write_bytes(path.read_bytes()[:-7])
    elif how == "text":
        path.write_text("no tensors")
    elif how == "missing":
        path.unlink()
    else:
        save_file({"other": torch.zeros(3)}, path)


@pytest.mark.parametrize("how", ["cut", "text", "missing", "other names"])
def test_damaged_kept_files_say_what_to_delete(tmp_path: Path, how: str) -> None:
    path = tmp_path / "7.safetensors"
    pictures = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    FaceDataset.of_pictures(torch.zeros(1), torch.zeros(1), pictures).save(path)
    assert len(FaceDataset.load(path)) == 1
    damage(path, how)
    for kind in (FaceDataset, AttackerData):
        with refused("Delete its folder; it is made again"):
            kind.load(path)
    made = SimpleNamespace(folder=tmp_path, identity=7, setting="sobel-64")
    with refused("Run make_artefacts again"):
        read_artefacts(made)  # type: ignore[arg-type]


def test_portraits_of_another_size_are_no_portraits(tmp_path: Path) -> None:
    path = tmp_path / "7.safetensors"
    pictures = torch.zeros(1, 32, 32, 3, dtype=torch.uint8)
    FaceDataset.of_pictures(torch.zeros(1), torch.zeros(1), pictures).save(path)
    with refused("no portraits of this size.*Delete"):
        FaceDataset.load(path)


def test_kept_pictures_come_back_and_damaged_ones_dont(tmp_path: Path) -> None:
    path = tmp_path / "kinds.safetensors"
    keep(path, {"probes": torch.full((1, 4, 4, 3), 0.2)})
    assert kept(path)["probes"].unique().tolist() == pytest.approx([0.2])
    path.write_bytes(path.read_bytes()[:-1])
    with refused("Delete its folder"):
        kept(path)


def test_another_networks_numbers_are_no_network(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    path = tmp_path / "base" / "moduli.safetensors"
    save_file({"stem.weight": torch.zeros(24, 1, 5, 5)}, path)
    with refused("another network's numbers"):
        picture_jobs._shared("moduli", None, str(tmp_path))  # type: ignore[arg-type]
    wrong = {k: torch.zeros(2) for k in FaceNetwork().state_dict()}
    with refused("another network's numbers"):
        restore(FaceNetwork(), wrong, path)


@pytest.mark.parametrize("how", ["cut", "text", "missing", "other names"])
def test_damaged_weights_say_how_they_are_made(tmp_path: Path, how: str) -> None:
    path = tmp_path / "hog_lda.safetensors"
    shutil.copy(resources.WEIGHTS / path.name, path)
    assert recognisers.load(path).name == "hog_lda"
    damage(path, how)
    with refused(r"recogniser\.py"):
        recognisers.load(path)


@pytest.mark.parametrize(
    "facts", [*BAD_JSON, '{"generator": 1}', '{"generator": 1, "name": 3, "kind": "hog"}']
)
def test_weights_whose_words_make_no_sense_are_refused(tmp_path: Path, facts: str) -> None:
    path = tmp_path / "hog_lda.safetensors"
    whole = load_file(resources.WEIGHTS / path.name)
    save_file({k: v[:1].contiguous() for k, v in whole.items()}, path, {"facts": facts})
    with refused(r"recogniser\.py|It must be"):
        recognisers.load(path)


# Stored results ----------------------------------------------------------------------------------


def double(number: int) -> dict[str, int]:
    return {"twice": 2 * number}


@pytest.mark.parametrize("text", BAD_JSON)
def test_a_damaged_result_is_an_error_or_is_dropped(tmp_path: Path, text: str) -> None:
    assert run_jobs({"a": 1}, double, tmp_path, version={}, workers=0, progress=False)["a"] == {
        "twice": 2
    }
    (tmp_path / "a.json").write_text(text)
    with refused("--overwrite.*or delete the file"):
        run_jobs({"a": 1}, double, tmp_path, version={}, workers=0, progress=False)
    again = run_jobs(
        {"a": 1}, double, tmp_path, version={}, workers=0, progress=False, overwrite=True
    )
    assert again["a"] == {"twice": 2}


@pytest.mark.parametrize("text", BAD_JSON)
def test_a_damaged_study_gives_no_advice_and_no_traceback(tmp_path: Path, text: str) -> None:
    path = tmp_path / "study.json"
    path.write_text(text)
    assert "can't be read" in recommendation.assess(Operator(), 64, path).why
    assert recommendation.recommended(path) == ""
    path.unlink()
    assert recommendation.assess(Operator(), 64, path).why == "not studied yet"


@pytest.mark.parametrize("text", BAD_JSON)
def test_a_damaged_job_of_the_privacy_study_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "jobs").mkdir()
    key = f"{next(iter(recommendation.SETTINGS))}.{picture_jobs.ATTACKS[0]}"
    (tmp_path / "jobs" / f"{safe_name(key)}.json").write_text(text)
    with refused("Delete it; the study makes it again"):
        stored(tmp_path, picture_jobs.LITTLE)
