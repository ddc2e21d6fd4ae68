"""Claims about diffusion posterior sampling, on a model and pictures that train in seconds."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from benchmarks.studies import diffusion_model as diffusion
from benchmarks.studies.diffusion_model import Diffusion, Model, misfit, spread
from benchmarks.studies.diffusion_network import Denoiser
from privhead_nb.errors import LabError
from privhead_nb.lab.recognisers import Recogniser
from privhead_nb.privacy.operators import Operator

HOW = Diffusion(size=16, width=8, times=200, steps=150, batch=16, rate=3e-3, draws=25, samples=3)
JUDGE = Recogniser("pixels", lambda x: (x - 0.7).flatten(1))


def ovals(count: int, seed: int) -> Tensor:
    """(N, 16, 16, 3) ovals of some width, height and colour in front of white."""
    random = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(*(2 * [torch.linspace(-1, 1, 16)]), indexing="ij")
    size = 0.35 + 0.45 * torch.rand(count, 2, 1, 1, generator=random)
    inside = torch.sigmoid(8 * (1 - ((x / size[:, 0]) ** 2 + (y / size[:, 1]) ** 2).sqrt()))
    colour = 0.2 + 0.5 * torch.rand(count, 1, 1, 3, generator=random)
    return 1 - inside[..., None] * (1 - colour)


@pytest.fixture(scope="module")
def model() -> Model:
    return diffusion.train(ovals(200, 0), 200, HOW)


def test_training_lowers_the_loss(model: Model) -> None:
    assert model.losses[-1] < 0.4 * model.losses[0]
    again = diffusion.train(ovals(200, 0), 200, dataclasses.replace(HOW, steps=3))
    same = diffusion.train(ovals(200, 0), 200, dataclasses.replace(HOW, steps=3))
    assert again.losses == same.losses


def test_the_schedule_ends_in_noise_and_starts_in_a_picture() -> None:
    kept = diffusion.kept_variance(1000)
    assert float(kept[0]) > 0.999 and float(kept[-1]) < 1e-4
    assert bool((kept[1:] < kept[:-1]).all())


def test_guidance_lowers_the_misfit(model: Model) -> None:
    """Without guidance, the null control, samples know nothing of the modulus."""
    operator, truth = Operator(), ovals(4, 1)
    moduli = operator.protect(truth).repeat_interleave(3, 0)
    guided = diffusion.sample(model, operator, moduli, seed=1)
    free = diffusion.sample(model, operator, moduli, seed=1, guidance=0.0)
    assert guided.shape == (12, 16, 16, 3) and float(guided.min()) >= 0 and float(guided.max()) <= 1
    assert float(misfit(guided, operator, moduli).mean()) < 0.4 * float(
        misfit(free, operator, moduli).mean()
    )
    own, null = (
        [
            spread(drawn, true, truth[torch.arange(4) != n], JUDGE, operator, moduli[3 * n])
            for n, (drawn, true) in enumerate(zip(samples.split(3), truth, strict=True))
        ]
        for samples in (guided, free)
    )
    gap, chance = (sum(r["to_truth"] - r["to_others"] for r in rows) / 4 for rows in (own, null))
    assert gap > chance + 0.02
    assert sum(r["pattern"] for r in own) < 0.8 * sum(r["pattern"] for r in null)


def test_spread_tells_colour_from_pattern() -> None:
    one = ovals(1, 2)[0]
    operator = Operator()
    modulus = operator.modulus(one)
    tinted = torch.stack([one * 0.8, one * 0.8 + 0.1, one * 0.8 + 0.2])
    found = spread(tinted, one, ovals(3, 3), JUDGE, operator, modulus)
    assert found["colour"] == pytest.approx(0.1, abs=1e-4) and found["pattern"] < 1e-6
    assert found["misfit"] == pytest.approx(0.2, abs=1e-4)
    with pytest.raises(LabError, match="1 samples"):
        spread(tinted[:1], one, ovals(3, 3), JUDGE, operator, modulus)


def test_what_does_not_fit_is_refused(model: Model) -> None:
    with pytest.raises(LabError, match="16 x 16"):
        diffusion.sample(model, Operator(), torch.zeros(1, 32, 32))


def test_networks_are_as_small_as_said() -> None:
    for name, low, high in (("ci", 0, 100_000), ("cpu", 300_000, 1_000_000)):
        network = Denoiser(diffusion.PROFILES[name].width)
        assert low < sum(p.numel() for p in network.parameters()) < high
    made = Model(network, diffusion.kept_variance(10), diffusion.PROFILES["ci"], (), 5)
    assert "5 other people" in diffusion.card(made).data
