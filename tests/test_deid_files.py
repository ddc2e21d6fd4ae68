"""Claims about `privhead deidentify`: folders in, folders out, and pictures that are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from command import answer, run
from PIL import Image

from privhead_nb.deid import domain, portraits
from privhead_nb.deid.baselines import BASELINES
from privhead_nb.deid.files import Request, deidentify, picture_paths, read_portrait
from privhead_nb.errors import LabError, PrivheadError
from privhead_nb.scenes.images import to_uint8, write_image


@pytest.fixture(scope="module")
def faces() -> torch.Tensor:
    """Six portraits of three people who are nobody's."""
    return portraits.known_portraits((61_000, 61_001, 61_002), views=2).rgb()


@pytest.fixture
def folder(tmp_path: Path, faces: torch.Tensor) -> Path:
    """The same as PNG files."""
    where = tmp_path / "pictures"
    where.mkdir()
    for number, picture in enumerate(faces):
        write_image(where / f"{number}.png", picture.numpy())
    return where


def test_a_folder_becomes_a_folder_and_nothing_is_left_behind(
    folder: Path, tmp_path: Path, faces: torch.Tensor
) -> None:
    out = tmp_path / "out"
    facts = deidentify(folder, out, Request("blur", 4.0), progress=False)
    names = [f"{n}.png" for n in range(6)]
    assert facts["pictures"] == names and facts["strength"] == 4.0
    assert sorted(p.name for p in out.iterdir()) == [*names, "deidentified.json"]
    wanted = BASELINES["blur"](faces, 4.0, torch.Generator())
    for name, picture in zip(names, wanted, strict=True):
        torch.testing.assert_close(read_portrait(out / name), picture, atol=0.6 / 255, rtol=0)
    assert json.loads((out / "deidentified.json").read_text())["method"] == "blur"
    again = tmp_path / "again"
    deidentify(folder, again, Request("blur", 4.0), progress=False)
    assert all((out / n).read_bytes() == (again / n).read_bytes() for n in names)
    assert not list(tmp_path.glob("*.part")) and not list(tmp_path.glob(".*"))
    one = deidentify(folder / "3.png", tmp_path / "one", Request("pixelate"), progress=False)
    assert one["pictures"] == ["3.png"] and one["strength"] == 8.0


def test_made_portraits_are_known_and_others_are_not(faces: torch.Tensor) -> None:
    assert all(verdict.known for verdict in domain.verdicts(faces))
    foreign = {
        "noise": torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0)),
        "nothing": torch.zeros(64, 64, 3),
        "upside down": faces[0].flip(0),
        "two heads": torch.cat([faces[0, :, 16:48], faces[3, :, 16:48]], 1),
        "half as large": torch.nn.functional.pad(
            faces[0, ::2, ::2], (0, 0, 16, 16, 16, 16), value=1
        ),
    }
    for name, picture in foreign.items():
        (verdict,) = domain.verdicts(picture[None])
        assert not verdict.known, (name, verdict)


def _written(where: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(where)
    return where


def test_what_is_refused_names_the_file_and_the_remedy(
    folder: Path, tmp_path: Path, faces: torch.Tensor
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    _written(folder / "x_noise.png", noise)
    with pytest.raises(LabError, match=r"x_noise\.png: is not of the kind.*no face.*--force"):
        deidentify(folder, tmp_path / "out", Request("blur"), progress=False)
    assert not (tmp_path / "out").exists()
    forced = deidentify(folder, tmp_path / "out", Request("blur", force=True), progress=False)
    assert "x_noise.png" in forced["pictures"]

    wide = _written(tmp_path / "wide.png", np.zeros((64, 80, 3), np.uint8))
    small = _written(tmp_path / "small.png", np.zeros((32, 32, 3), np.uint8))
    for path, said in ((wide, "80 x 64"), (small, "32 x 32")):
        with pytest.raises(LabError, match=rf"{path.name}: is {said} pixels.*square"):
            read_portrait(path)
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(to_uint8(faces[0].numpy())).save(turned, exif=exif)
    with pytest.raises(LabError, match=r"turned\.jpg: is turned by its EXIF"):
        read_portrait(turned)
    broken = tmp_path / "broken.png"
    broken.write_bytes((folder / "0.png").read_bytes()[:200])
    with pytest.raises(PrivheadError, match=r"broken\.png"):
        deidentify(broken, tmp_path / "none", Request("blur"), progress=False)

    (tmp_path / "empty").mkdir()
    for path, said in ((tmp_path / "empty", "holds no picture"), (tmp_path / "no", "no such")):
        with pytest.raises(LabError, match=said):
            picture_paths(path)
    _written(folder / "0.jpg", noise)
    with pytest.raises(LabError, match="two pictures are called 0"):
        picture_paths(folder)


def test_a_passphrase_is_for_what_can_be_locked(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="--passphrase: blur hides nothing"):
        deidentify(folder, tmp_path / "out", Request("blur", passphrase="x"), progress=False)
    with pytest.raises(LabError, match="k = 10 of 6 pictures"):
        deidentify(folder, tmp_path / "out", Request("k-same", 10.0), progress=False)
    with pytest.raises(LabError, match="smear"):
        deidentify(folder, tmp_path / "out", Request("smear"), progress=False)
    assert not (tmp_path / "out").exists()


def test_the_command_line_says_what_was_done(folder: Path, tmp_path: Path) -> None:
    made = answer("deidentify", folder, tmp_path / "out", "--method", "pixelate", "--strength", 16)
    assert made["method"] == "pixelate" and len(made["pictures"]) == 6
    for arguments, said in (
        (("--method", "smear"), "smear"),
        (("--method", "blur", "--strength", "99"), "Give a number from 1 to 8"),
    ):
        failed = run("deidentify", folder, tmp_path / "none", *arguments)
        assert failed.exit_code == 2 and said in failed.stderr
        assert len(failed.stderr.strip().splitlines()) == 1 and not (tmp_path / "none").exists()
    missing = run("deidentify", tmp_path / "nowhere", tmp_path / "none", "--method", "blur")
    assert missing.exit_code == 2 and "no such file or folder" in missing.stderr


def test_what_was_hidden_comes_back_with_its_passphrase_alone(folder: Path, tmp_path: Path) -> None:
    hidden, back = tmp_path / "hidden", tmp_path / "back"
    answer("deidentify", folder, hidden, "--method", "g2face", "--passphrase", "right")
    found = answer("recover", hidden, back, "--passphrase", "right")
    assert len(found["recovered"]) >= 5 and (back / found["recovered"][0]).is_file()
    for source, key in ((hidden, "wrong"), (folder, "right")):
        failed = run("recover", source, tmp_path / "no", "--passphrase", key)
        assert failed.exit_code == 2 and "not recovered" in failed.stderr
        assert not (tmp_path / "no").exists()
    large = tmp_path / "large.png"
    Image.open(hidden / "0.png").resize((128, 128)).save(large)
    failed = run("recover", large, tmp_path / "no")
    assert failed.exit_code == 2 and "lost with its size" in failed.stderr
