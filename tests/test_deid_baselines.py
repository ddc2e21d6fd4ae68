"""Claims about the usual defences, what is measured of them, and which pictures are taken."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.studies.deid import portraits, utility
from privhead_nb.deid import NAMES, TRAINED, deidentifier, domain
from privhead_nb.deid.baselines import BASELINES, k_same
from privhead_nb.errors import LabError


@pytest.fixture(scope="module")
def rgb() -> Tensor:
    """Six portraits."""
    return portraits.known_portraits((20_000, 20_001, 20_002), views=2).rgb()


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(TRAINED)))
def test_a_baseline_keeps_the_size_and_its_seed(name: str, rgb: Tensor) -> None:
    system = deidentifier(name)
    assert system.name == name and system.default in system.strengths
    for strength in system.strengths:
        if name == "k-same" and strength > len(rgb):
            continue
        one, two = (system(rgb, strength, drawn()) for _ in range(2))
        assert one.shape == rgb.shape and 0 <= float(one.min()) <= float(one.max()) <= 1
        torch.testing.assert_close(one, two, atol=0, rtol=0)
        assert float((one - rgb).abs().mean()) > 1e-3  # something happened
    with pytest.raises(LabError, match=f"{name}: strength"):
        system(rgb, 99.0, drawn())
    with pytest.raises(LabError, match="not \\(N, 64, 64, 3\\)"):
        system(rgb[:, :32], system.default, drawn())
    with pytest.raises(LabError, match="colours from"):
        system(rgb * 255, system.default, drawn())


def test_blur_is_a_gaussian_and_cells_are_means(rgb: Tensor) -> None:
    from scipy.ndimage import gaussian_filter

    mine = BASELINES["blur"](rgb, 2.0, drawn())[0, ..., 1].double().numpy()
    wanted = gaussian_filter(rgb[0, ..., 1].double().numpy(), 2.0, mode="nearest", truncate=3.0)
    np.testing.assert_allclose(mine, wanted, atol=2e-6)
    cells = BASELINES["pixelate"](rgb, 8.0, drawn())
    torch.testing.assert_close(cells[0, 8, 16], rgb[0, 8:16, 16:24].mean((0, 1)))
    assert len(torch.unique(cells[0, ..., 0])) <= 64
    with pytest.raises(LabError, match="cells of 3"):
        BASELINES["pixelate"](rgb, 3.0, drawn())


def test_k_same_gives_each_face_to_at_least_k_people(rgb: Tensor) -> None:
    """Newton et al.: nobody can be told from k - 1 others, whatever the attacker knows."""
    people = torch.cat([rgb, rgb.flip(2), rgb.roll(1, 1)])[:17]
    for k in (2.0, 5.0):
        out = k_same(people, k, drawn())
        _, count = torch.unique(out.flatten(1), dim=0, return_counts=True)
        assert int(count.min()) >= k and int(count.sum()) == 17
        torch.testing.assert_close(out.mean(0), people.mean(0))  # means of groups keep the mean
    with pytest.raises(LabError, match="k = 10 of 6 pictures"):
        k_same(rgb, 10.0, drawn())
    with pytest.raises(LabError, match="one person"):
        BASELINES["k-same"](rgb, 2.0, drawn(), group=True)


def test_frechet_distance_of_known_gaussians() -> None:
    """Of N(0, I) and N(m, s^2 I): |m|^2 + D (s - 1)^2."""
    random = drawn(3)
    one = torch.randn(40_000, 4, generator=random)
    two = 2 * torch.randn(40_000, 4, generator=random) + torch.tensor([1.0, 0, 0, 2.0])
    assert utility.frechet_distance(one, two) == pytest.approx(5 + 4, rel=0.05)
    assert utility.frechet_distance(one, one) == pytest.approx(0, abs=1e-6)
    with pytest.raises(LabError, match="3 pictures for 4 features"):
        utility.frechet_distance(one[:3], two)


def test_likeness_of_the_same_and_of_noise(rgb: Tensor) -> None:
    assert np.isinf(utility.psnr(rgb, rgb)).all()
    np.testing.assert_allclose(utility.ssim(rgb, rgb), 1.0)
    np.testing.assert_allclose(utility.psnr(0.8 * rgb + 0.1, 0.8 * rgb), 20.0, atol=1e-4)


def test_the_cascade_finds_frontal_faces_and_none_in_moduli(rgb: Tensor) -> None:
    from privhead_nb.heads.head import make_head
    from privhead_nb.lab.framing import portrait_cameras
    from privhead_nb.lab.raster import photograph

    front = torch.cat(
        [photograph(make_head(i), portrait_cameras(((0.0, 0.0),))) for i in range(20_000, 20_006)]
    )
    assert (domain.faces_found(front) > 0).sum() >= 4
    assert (domain.faces_found(torch.ones(2, 64, 64, 3)) == 0).all()
