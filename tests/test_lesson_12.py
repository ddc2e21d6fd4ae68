"""Claims about lesson 12: checks know right from wrong, stored pictures are what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_erosion

from benchmarks.studies import noisy_codes
from privhead_nb.deid.ideudemon import codes, losses, restore
from privhead_nb.errors import LabError
from privhead_nb.heads.codes import identity_codes
from privhead_nb.heads.surface import LABELS
from privhead_nb.lab.faces import people
from privhead_nb.lab.sheet import shipped_gallery
from privhead_nb.teach.lesson12 import panel, releases
from privhead_nb.teach.lesson12.checks import composites, cut, fits, moments

KEPT = np.array(restore.KEPT)


@pytest.fixture(scope="module")
def data() -> releases.Releases:
    return releases.load()


# Checks -------------------------------------------------------------------------------------------


def test_the_cases_try_what_they_should() -> None:
    for name, (picture, render, coarse, *_) in fits().items():
        assert (coarse.abs() <= 1).all(), name
        assert (render(coarse) - picture).abs().max() > 0.1, name
    for name, (_, _, labels, other, kept, _) in composites().items():
        gaps = ~np.isin(labels, kept) & np.isin(other, kept)
        assert gaps.any() == (name.startswith(("labels", "a face"))), name


def test_what_the_page_writes_is_the_packages() -> None:
    """Exercises 1202, 1204 and 1205 against privhead_nb.deid.ideudemon."""
    random = torch.Generator().manual_seed(3)
    flat = torch.rand(4, 131, generator=random) * 2 - 1
    ours = codes.perturbed(codes.Codes.split(flat), 0.4, torch.Generator().manual_seed(4)).identity
    noise = torch.randn(4, 64, generator=torch.Generator().manual_seed(4))
    np.testing.assert_allclose(ours, cut(flat[:, :64].numpy() + 0.4 * noise.numpy()), atol=1e-6)
    x, p = torch.rand(2, 1, 8, 8, 3, generator=random)
    labels, other = torch.randint(0, len(LABELS), (2, 1, 8, 8), generator=random)
    keep, face = (np.isin(labels, KEPT)[..., None], ~np.isin(other, KEPT)[..., None])
    made = restore.hybrid(x, p, labels, other).numpy()
    inner = binary_erosion(face[0, ..., 0], np.ones((3, 3)), border_value=1)[None, ..., None]
    sure = (keep | inner)[..., 0]  # elsewhere the package takes nearby colours
    by_hand = np.where(keep, x, np.where(face, p, 1.0))
    np.testing.assert_allclose(made[sure], by_hand[sure])
    assert losses.Weights().identity == 5 and losses.Weights().l1 == 0.1


# Stored pictures ----------------------------------------------------------------------------------


def test_the_sheet_holds_what_the_study_draws(data: releases.Releases) -> None:
    """One person made again, from codes that the page makes, too."""
    number = people("evaluation", releases.PEOPLE)[1]
    (yaw, pitch), light, noise = releases.session(number)
    assert abs(yaw) <= releases.YAW and abs(pitch) <= releases.PITCH
    identity, albedo = identity_codes(number)
    code = (identity + releases.SCALE * noise[2]).clamp(-1, 1)
    picture, labels = noisy_codes.seen(code, albedo, (yaw, pitch), light)
    assert (picture.int() - data.noisy[1, 2].int()).abs().float().mean() < 1
    assert (labels != data.noisy_labels[1, 2]).float().mean() < 0.01


def test_the_sheet_comes_back_as_it_was(data: releases.Releases, tmp_path) -> None:
    noisy_codes.save(data, tmp_path / "sheet.webp")
    again = releases.load(tmp_path / "sheet.webp")
    for name in ("originals", "labels", "noisy", "noisy_labels", "gallery_labels"):
        assert torch.equal(getattr(again, name), getattr(data, name)), name
    assert int(data.labels.max()) < len(LABELS)


def test_a_sheet_that_is_missing_or_of_another_size_is_refused(tmp_path) -> None:
    from PIL import Image

    with pytest.raises(LabError, match=r"noisy_codes\.py"):
        releases.load(tmp_path / "nothing.webp")
    Image.new("RGB", (64, 64)).save(tmp_path / "small.webp")
    with pytest.raises(LabError, match="large"):
        releases.load(tmp_path / "small.webp")


def test_labels_of_the_gallery_lie_on_its_portraits(data: releases.Releases) -> None:
    """Background is white there, hair is not."""
    pictures = shipped_gallery().frontals().rgb()[: releases.KNOWN]
    white = pictures.amin(-1) > 0.99
    background = data.gallery_labels == LABELS.index("background")
    assert (white == background).float().mean() > 0.95


# Panel --------------------------------------------------------------------------------------------


def test_the_panels_curves_are_the_theorys() -> None:
    mean, variance = (float(m[0]) for m in moments(np.array([0.8]), 0.4))
    plain, undone = panel.errors(0.8, 0.4, 50)
    theory = np.sqrt((mean - 0.8) ** 2 + variance / np.arange(1, 51))
    np.testing.assert_allclose(plain, theory, rtol=0.12)
    assert undone[-1] < 0.7 * plain[-1]
