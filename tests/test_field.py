"""Fields: starting spheres, gradients against autograd and differences, Lipschitz layers."""

import math

import pytest
import torch

from privhead_nb.field.encoding import frequency_encoding
from privhead_nb.field.model import FieldSettings, HeadModel
from privhead_nb.field.radiance import ColourNetwork, LipschitzLinear
from privhead_nb.field.sdf import GridField, MLPField, difference_gradient
from privhead_nb.kernels.grid_encoding import GridLayout
from privhead_nb.training.losses import eikonal_loss, lipschitz_loss, mask_loss, rgb_loss


def points(count=300, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, generator=generator, dtype=dtype) * 1.6 - 0.8


@pytest.fixture(params=["grid", "mlp"])
def field(request):
    generator = torch.Generator().manual_seed(0)
    if request.param == "grid":
        return GridField(GridLayout((6, 12)), generator=generator)
    return MLPField(width=64, depth=4, skip=2, features=8, generator=generator)


def test_frequency_encoding_counts_and_values():
    x = torch.tensor([[0.5, -0.25]])
    out = frequency_encoding(x, 2)
    assert out.shape == (1, 2 * 5)
    assert torch.allclose(out[0, 2:4], torch.sin(x[0]))
    assert torch.allclose(out[0, 6:8], torch.sin(2 * x[0]))
    assert torch.equal(frequency_encoding(x, 0), x)


def test_geometric_initialisation_starts_as_a_sphere():
    generator = torch.Generator().manual_seed(0)
    volsdf = MLPField(generator=generator)  # the paper's 8 x 256
    x = points()
    with torch.no_grad():
        error = (volsdf.sdf(x) - (x.norm(dim=-1) - 0.6)).abs().mean()
        assert error < 0.1
        assert volsdf.sdf(torch.zeros(1, 3)) < 0 < volsdf.sdf(torch.tensor([[0.95, 0.0, 0.0]]))
        grid = GridField(GridLayout((6, 12)), sphere=0.5, generator=generator)
        assert (grid.sdf(x) - (x.norm(dim=-1) - 0.5)).abs().max() < 0.1


def test_three_questions_get_one_answer(field):
    x = points()
    value, features = field.sdf_and_features(x)
    value2, features2, gradient = field.with_gradient(x)
    assert torch.allclose(field.sdf(x), value, atol=1e-6)
    assert torch.allclose(value, value2, atol=1e-6)
    assert torch.allclose(features, features2, atol=1e-6)
    assert gradient.shape == (len(x), 3)


def test_gradient_is_the_slope(field):
    field = field.double()
    if isinstance(field, GridField):
        torch.nn.init.normal_(field.grid.table, std=0.3)
    x = points(dtype=torch.float64)
    _, _, gradient = field.with_gradient(x)
    differences, _ = difference_gradient(field, x, field.sdf(x), 1e-6)
    close = (gradient - differences).norm(dim=-1) < 1e-4
    assert close.float().mean() > 0.99  # all but taps across a lattice plane


def test_gradient_can_be_trained_on(field):
    _, _, gradient = field.with_gradient(points())
    gradient.square().sum().backward()
    # the distance's own bias is the one parameter that no slope can feel
    felt = [n for n, p in field.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    assert len(felt) >= 3 and any("weight" in name for name in felt)


def test_differences_of_a_paraboloid_are_exact():
    class Paraboloid:
        def sdf(self, x):
            return (x.square() * torch.tensor([1.0, 2.0, 3.0], dtype=x.dtype)).sum(-1)

    x = points(dtype=torch.float64)
    field = Paraboloid()
    gradient, laplacian = difference_gradient(field, x, field.sdf(x), 0.01)
    wanted = 2 * x * torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    assert torch.allclose(laplacian, torch.full_like(laplacian, 12.0))
    assert torch.allclose(gradient, wanted, atol=0.06)  # the tetrahedron is exact to first order
    assert torch.allclose(gradient.mean(0), wanted.mean(0), atol=0.06)


def test_lipschitz_layer_keeps_its_bound():
    torch.manual_seed(0)
    layer = LipschitzLinear(12, 7)
    start = layer.weight.abs().sum(1).max().item()
    assert math.isclose(layer.bound().item(), 2 * start, rel_tol=1e-4)
    assert torch.allclose(layer.normalised_weight(), layer.weight)  # within its bound: untouched
    with torch.no_grad():
        layer.m.fill_(-1.0)
    rows = layer.normalised_weight().abs().sum(1)
    assert rows.max() <= layer.bound() + 1e-5
    x, y = torch.randn(50, 12), torch.randn(50, 12)
    rise = (layer(x) - layer(y)).abs().amax(1) / (x - y).abs().amax(1)
    assert rise.max() <= layer.bound() + 1e-4


def test_losses_by_hand():
    rendered = torch.tensor([[0.0, 0.5], [1.0, 0.5]])
    target = torch.tensor([[0.5, 0.5], [0.0, 0.5]])
    assert rgb_loss(rendered, target).item() == 0.375
    assert mask_loss(rendered[0], target[1]).item() == 0.0
    assert eikonal_loss(torch.tensor([[0.0, 3.0, 4.0], [0.0, 0.0, 1.0]])).item() == 8.0
    assert eikonal_loss(torch.zeros(0, 3)).item() == 0.0


def test_lipschitz_loss_is_eq_8_or_its_log_sum():
    network = ColourNetwork(4, width=8)
    bounds = network.bounds()
    assert torch.isclose(lipschitz_loss(bounds), bounds[0] * bounds[1] * bounds[2])
    assert torch.isclose(lipschitz_loss(bounds, log_sum=True), lipschitz_loss(bounds).log())


def test_model_depends_on_its_seed_alone():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one, two, other = (HeadModel(seed=seed) for seed in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    same = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    assert not torch.equal(one.field.grid.table, other.field.grid.table)


def test_field_settings_are_checked():
    with pytest.raises(ValueError, match="kind"):
        FieldSettings(kind="voxels")
    with pytest.raises(ValueError, match="depth"):
        FieldSettings(depth=3)
