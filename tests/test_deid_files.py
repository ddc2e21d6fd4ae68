"""Claims about `privhead deidentify`: folders in, folders out, and pictures that are refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch
from command import answer, run
from PIL import Image

from benchmarks.studies.deid import portraits
from privhead_nb.deid import deidentifier, domain
from privhead_nb.deid.baselines import BASELINES
from privhead_nb.deid.files import Request, deidentify, picture_paths, read_portrait, recover
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
    folder: Path, tmp_path: Path, faces: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    _written(folder / "x_noise.png", noise)
    _written(folder / "y_photograph.jpg", skimage.data.astronaut())
    several = torch.cat([faces[0, :, 16:48], faces[3, :, 16:48]], 1)
    write_image(folder / "z_several.png", several.numpy())
    refused = {
        "x_noise.png": r"x_noise\.png: is not of the kind.*no face is found.*--force",
        "y_photograph.jpg": r"y_photograph\.jpg: is not of the kind.*--force",
        "z_several.png": r"z_several\.png: is not of the kind.*--force",
    }
    for name, said in refused.items():
        with pytest.raises(LabError, match=said):
            deidentify(folder / name, tmp_path / "out", Request("blur"), progress=False)
    with pytest.raises(LabError, match=r"x_noise\.png: .*; nor are 2 more"):
        deidentify(folder, tmp_path / "out", Request("blur"), progress=False)
    assert not (tmp_path / "out").exists()
    forced = deidentify(folder, tmp_path / "out", Request("blur", force=True), progress=False)
    assert "x_noise.png" in forced["pictures"] and set(forced["out_of_domain"]) == set(refused)
    assert "no face is found in it (distance" in forced["out_of_domain"]["x_noise.png"]
    monkeypatch.setattr("privhead_nb.deid.files.faces_found", lambda _: np.array([3]))
    with pytest.raises(LabError, match="3 faces are found in it"):
        deidentify(folder / "z_several.png", tmp_path / "no", Request("blur"), progress=False)

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
    for name in ("text.png", "text.txt"):
        (tmp_path / name).write_text("no picture")
        with pytest.raises(PrivheadError, match=name):
            deidentify(tmp_path / name, tmp_path / "none", Request("blur"), progress=False)

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
    assert made["out_of_domain"] == {}
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    source = _written(tmp_path / "noise.png", noise)
    forced = run("deidentify", source, tmp_path / "forced", "--method", "blur", "--force")
    assert forced.exit_code == 0 and "noise.png: not of the kind" in forced.stdout
    for arguments, said in (
        (("--method", "smear"), "smear"),
        (("--method", "blur", "--strength", "99"), "Give a number from 1 to 8"),
    ):
        failed = run("deidentify", folder, tmp_path / "none", *arguments)
        assert failed.exit_code == 2 and said in failed.stderr
        assert len(failed.stderr.strip().splitlines()) == 1 and not (tmp_path / "none").exists()
    missing = run("deidentify", tmp_path / "nowhere", tmp_path / "none", "--method", "blur")
    assert missing.exit_code == 2 and "no such file or folder" in missing.stderr


def test_what_was_hidden_comes_back_with_its_passphrase_alone(
    folder: Path, tmp_path: Path, faces: torch.Tensor
) -> None:
    hidden, back = tmp_path / "hidden", tmp_path / "back"
    answer("deidentify", folder, hidden, "--method", "g2face", "--passphrase", "right", "--group")
    found = answer("recover", hidden, back, "--passphrase", "right")
    assert len(found["recovered"]) >= 5 and (back / found["recovered"][0]).is_file()
    # one dummy for all, as without a passphrase
    system, random = deidentifier("g2face"), torch.Generator().manual_seed(0)
    wanted = system.anonymise(faces, 1.0, random, passphrase="right", group=True)
    torch.testing.assert_close(read_portrait(hidden / "3.png"), wanted[3], atol=2 / 255, rtol=0)

    compressed = tmp_path / "compressed.jpg"
    Image.open(hidden / "0.png").save(compressed, quality=60)
    large = tmp_path / "large.png"
    Image.open(hidden / "0.png").resize((128, 128)).save(large)
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty").mkdir()
    for source, key, said in (
        (hidden, "wrong", r"0\.png: not recovered, nor is any other of 6 pictures: .*passphrase"),
        (folder, "right", r"0\.png: not recovered.*never anonymised.*Give PNG pictures"),
        (compressed, "right", r"compressed\.jpg: not recovered: .*JPEG.*Give PNG pictures"),
        (large, "right", r"large\.png: is 128 x 128.*lost with its size.*Give the 64 x 64 PNG"),
        (tmp_path / "text.png", "right", r"text\.png"),
        (tmp_path / "empty", "right", r"empty: holds no picture.*Give a picture"),
        (tmp_path / "nowhere", "right", r"nowhere: there is no such"),
        (hidden, "", r"passphrase: is empty"),
    ):
        with pytest.raises(PrivheadError, match=said):
            recover(source, tmp_path / "no", key)
        assert not (tmp_path / "no").exists()
    failed = run("recover", hidden, tmp_path / "no", "--passphrase", "wrong")
    assert failed.exit_code == 2 and "not recovered" in failed.stderr


def test_a_few_that_are_not_recovered_are_named(folder: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    deidentify(folder, hidden, Request("g2face", passphrase="right"), progress=False)
    (hidden / "9.png").write_bytes((folder / "0.png").read_bytes())  # never anonymised
    found = recover(hidden, tmp_path / "back", "right")
    assert "9.png" in found["not_recovered"] and "0.png" in found["recovered"]
    assert not (tmp_path / "back" / "9.png").exists()
    assert json.loads((tmp_path / "back" / "recovered.json").read_text()) == found


def test_aware3d_is_there_and_draws_nothing(folder: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        how = Request("aware3d", seed=seed)
        facts = deidentify(folder / "1.png", tmp_path / str(seed), how, progress=False)
        assert facts["strength"] == 1.5
    one, two, before = (
        read_portrait(where / "1.png") for where in (tmp_path / "0", tmp_path / "1", folder)
    )
    assert torch.equal(one, two) and float((one - before).abs().mean()) > 0.005
