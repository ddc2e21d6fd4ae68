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
from privhead_nb.lab import assessment, picture_jobs
from privhead_nb.lab.attacker_data import AttackerData
from privhead_nb.lab.embed import AttackRequest
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.gallery import read_gallery
from privhead_nb.lab.jobs import run_jobs, safe_name
from privhead_nb.lab.privacy_study import stored
from privhead_nb.lab.recognisers import stored as recognisers
from privhead_nb.lab.recognisers.network import FaceNetwork, restore
from privhead_nb.lab.run_attack import run_attack
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
        pixels[5:15, 5:15] += 80  # not one colour, which would show nobody
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return folder


def test_a_gallery_is_its_pictures_whatever_a_system_left_beside_them(gallery):
    (gallery / ".DS_Store").write_bytes(b"x")
    (gallery / "._anna.png").write_bytes(b"x")
    (gallery / "notes.txt").write_text("x")
    assert read_gallery(str(gallery)).names == ("anna", "bert")


def test_what_is_no_folder_and_no_count_is_no_gallery(gallery, tmp_path):
    (tmp_path / "empty").mkdir()
    for source in ("n" * 300, "a\0b", "nothing", "anna.png"):
        with refused("is a file, not a folder|there is no such folder|can't be read"):
            read_gallery(str(gallery / source))
    with refused("holds no PNG picture"):
        read_gallery(str(tmp_path / "empty"))
    for count in ("0", "1", "9" * 5000, "99999"):
        with refused("gallery|people of group"):
            read_gallery(count)
    for source in ("n" * 300, "a\0b", "nothing"):
        with refused("no such folder"):
            run_attack(gallery / source, AttackRequest())
    (gallery / "anna.png").unlink()
    with refused("all pictures are called after one person, bert"):
        read_gallery(str(gallery))


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31mb", "a\udcffb", "a\u202eb"])
def test_a_name_that_cant_be_shown_is_refused(gallery, name):
    (gallery / "anna.png").rename(gallery / f"{name}.png")
    with refused("can't be shown") as caught:
        read_gallery(str(gallery))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("damage", ["wide", "empty", "cut", "folder", "broken link"])
def test_a_damaged_picture_is_named_and_not_left_out(gallery, damage):
    path = gallery / "anna.png"
    data = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage == "broken link":
        path.symlink_to("nothing")
    elif damage == "wide":
        Image.new("RGB", (20, 21)).save(path)
    else:
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else b"")
    words = ".*is 20 x 21 pixels.*square pictures of 16 pixels" if damage == "wide" else ""
    with refused(r"anna\.png" + words, PrivheadError):
        read_gallery(str(gallery))


@pytest.mark.parametrize("kind", ["TIFF", "BMP", "EPS", "JPEG", "GIF"])
def test_another_format_under_the_name_of_a_png_is_never_opened(gallery, kind, monkeypatch):
    Image.new("RGB", (20, 20)).save(gallery / "anna.png", kind)
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("started a program"))
    with refused("not the PNG", PrivheadError):
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


def portraits(size: int) -> FaceDataset:
    pictures = torch.zeros(1, size, size, 3, dtype=torch.uint8)
    return FaceDataset.of_pictures(torch.zeros(1), torch.zeros(1), pictures)


@pytest.mark.parametrize("how", ["cut", "text", "missing", "other names"])
def test_damaged_kept_files_say_what_to_delete(tmp_path, how):
    path = tmp_path / "7.safetensors"
    portraits(32).save(path)
    with refused("no portraits of this size.*Delete"):
        FaceDataset.load(path)
    portraits(64).save(path)
    assert len(FaceDataset.load(path)) == 1
    damage(path, how)
    for kind in (FaceDataset, AttackerData):
        with refused("Delete its folder; it is made again"):
            kind.load(path)
    made = SimpleNamespace(folder=tmp_path, identity=7, setting="sobel-64")
    with refused("Run make_artefacts again"):
        read_artefacts(made)


def test_kept_pictures_come_back_and_damaged_ones_dont(tmp_path):
    path = tmp_path / "kinds.safetensors"
    keep(path, {"probes": torch.full((1, 4, 4, 3), 0.2)})
    assert kept(path)["probes"].unique().tolist() == pytest.approx([0.2])
    path.write_bytes(path.read_bytes()[:-1])
    with refused("Delete its folder"):
        kept(path)


def test_another_networks_numbers_are_no_network(tmp_path):
    (tmp_path / "base").mkdir()
    path = tmp_path / "base" / "moduli.safetensors"
    save_file({"stem.weight": torch.zeros(24, 1, 5, 5)}, path)
    with refused("another network's numbers"):
        picture_jobs.shared("moduli", None, str(tmp_path))
    wrong = {k: torch.zeros(2) for k in FaceNetwork().state_dict()}
    with refused("another network's numbers"):
        restore(FaceNetwork(), wrong, path)


@pytest.mark.parametrize("how", ["cut", "text", "missing", "other names"])
def test_damaged_weights_say_how_they_are_made(tmp_path, how):
    path = tmp_path / "hog_lda.safetensors"
    shutil.copy(resources.WEIGHTS / path.name, path)
    assert recognisers.load(path).name == "hog_lda"
    damage(path, how)
    with refused(r"recogniser\.py"):
        recognisers.load(path)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        *[(text, r"recogniser\.py|It must be") for text in BAD_JSON],
        ('{"generator": 1}', "name"),
        ('{"generator": 1, "name": 3, "kind": "hog"}', "It must be"),
        ('{"generator": 0, "name": "old", "kind": "hog"}', r"generator is 0.*recogniser\.py"),
    ],
)
def test_weights_whose_words_make_no_sense_are_refused(tmp_path, facts, said):
    path = tmp_path / "hog_lda.safetensors"
    whole = load_file(resources.WEIGHTS / path.name)
    save_file({k: v[:1].contiguous() for k, v in whole.items()}, path, {"facts": facts})
    with refused(said):
        recognisers.load(path)


# Stored results ----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", BAD_JSON)
def test_damaged_results_are_errors_or_dropped_and_no_traceback(tmp_path, text, monkeypatch):
    def doubled(**how: bool) -> object:
        jobs = {"a": 1}
        return run_jobs(jobs, _double, tmp_path, version={}, workers=0, progress=False, **how)["a"]

    assert doubled() == {"twice": 2}
    (tmp_path / "a.json").write_text(text)
    with refused("--overwrite.*or delete the file"):
        doubled()
    assert doubled(overwrite=True) == {"twice": 2}

    study = tmp_path / "study.json"
    study.write_text(text)
    monkeypatch.setattr(assessment, "RESULTS", study)
    assert "can't be read" in assessment.assess(Operator(), 64).why

    (tmp_path / "jobs").mkdir()
    key = f"{next(iter(assessment.SETTINGS))}.{picture_jobs.ATTACKS[0]}"
    (tmp_path / "jobs" / f"{safe_name(key)}.json").write_text(text)
    with refused("Delete it; the study makes it again"):
        stored(tmp_path, picture_jobs.LITTLE)


def _double(number: int) -> dict[str, int]:
    return {"twice": 2 * number}
