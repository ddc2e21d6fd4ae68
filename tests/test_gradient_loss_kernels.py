"""Gradient modulus and loss at the edges; what all kernels keep is in `test_kernels.py`."""

import pytest
import torch
from backends import (
    KERNELS,
    ROBERTS,
    SCHARR,
    SOBEL,
    SOBEL5,
    device_of,
    needs_triton,
    pictures,
    relative_rms,
)

from privhead_nb.bench.cases import modulus_peers
from privhead_nb.kernels.dispatch import prefer
from privhead_nb.kernels.gradient_loss import (
    gradient_loss,
    gradient_loss_reference,
    gradient_modulus,
    gradient_modulus_reference,
)
from privhead_nb.training import losses


def random(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def example(operator, size, device="cpu"):
    """Pictures, kernels, targets, weights."""
    images, target, mask, kx, ky = (x.to(device) for x in pictures(operator, *size))
    return images, kx, ky, target, mask


def test_eq_5_of_the_losses_is_the_specification_of_the_kernels():
    images, kx, ky, target, mask = example(SOBEL, (2, 3, 9, 8))
    for weight in (None, mask, 0 * mask):
        with prefer("torch"):
            written = losses.gradient_loss(images, target, kx, ky, weight)
        assert torch.equal(written, gradient_loss_reference(images, target, kx, ky, weight))


@pytest.mark.parametrize("operator", [SOBEL, SOBEL5, ROBERTS])
def test_reference_gradients_are_the_difference_quotients(operator):
    _, kx, ky, target, mask = (x.double() for x in example(operator, (2, 2, 7, 6)))
    images, target = random(2, 2, 7, 6, seed=3).double().requires_grad_(), target.requires_grad_()
    loss = lambda x, t: gradient_loss(x, t, kx, ky, mask)  # noqa: E731
    assert torch.autograd.gradcheck(loss, (images, target))


@pytest.mark.parametrize("backend", KERNELS)
def test_where_there_is_nothing_to_learn_the_gradient_is_zero(backend):
    """A flat picture; moduli that agree; weights that are all 0."""
    device = device_of(backend)
    images, kx, ky, target, mask = example(SCHARR, (1, 2, 6, 7), device)
    flat = torch.full_like(images, 0.5).requires_grad_()
    flat_modulus = gradient_modulus(flat, kx, ky, backend=backend)
    flat_loss = gradient_loss(flat, torch.ones_like(target), kx, ky, backend=backend)
    (flat_modulus.sum() + flat_loss).backward()
    assert not flat_modulus.any() and flat_loss.item() == 1 and not flat.grad.any()

    images.requires_grad_()
    own = gradient_modulus(images, kx, ky, backend=backend).detach()
    for wanted, weight, zero in ((own, None, True), (target, 0 * mask, True),
                                 (own + 1e-3, None, False)):  # fmt: skip
        value = gradient_loss(images, wanted, kx, ky, weight, backend=backend)
        (grad,) = torch.autograd.grad(value, images)
        assert (value.item() < 1e-7) == zero
        assert zero is False or weight is None or not grad.any()
    assert grad.any()  # just beside agreement there is one


@needs_triton
@pytest.mark.parametrize(
    ("operator", "channels"), [(SOBEL5, 3), (ROBERTS, 3), (SOBEL, 5)], ids=["wide", "odd", "many"]
)
def test_triton_takes_common_kernels_of_three_pixels_and_says_so(operator, channels):
    images, kx, ky, target, _ = example(operator, (1, channels, 7, 8), device_of("triton"))
    with pytest.raises(ValueError, match="3 x 3 kernels of two numbers"):
        gradient_modulus(images, kx, ky, backend="triton")
    with prefer("triton"):
        found = gradient_loss(images, target, kx, ky)
    assert relative_rms(found, gradient_loss_reference(images, target, kx, ky)) < 1e-6


TARGET = torch.rand(1, 4, 5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rendered": torch.rand(3, 6, 7)}, r"must be \(B, C, H, W\)"),
        ({"rendered": torch.rand(1, 3, 2, 7)}, "H, W >= 3"),
        ({"kx": torch.rand(3, 2)}, r"\(k, k\) with k odd"),
        ({"kx": torch.rand(2, 2), "ky": torch.rand(2, 2)}, r"\(k, k\) with k odd"),
        ({"target": torch.rand(1, 4, 4)}, r"target must be \(1, 4, 5\)"),
        ({"mask": torch.rand(4, 5)}, r"mask must be \(1, 4, 5\)"),
        ({"target": TARGET.double(), "backend": "numba"}, "float64"),
        ({"target": TARGET.clone().requires_grad_(), "backend": "numba"}, "to the pictures only"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    images, kx, ky, target, mask = example(SOBEL, (1, 3, 6, 7))
    given = {"rendered": images, "target": target, "kx": kx, "ky": ky, "mask": mask} | change
    with pytest.raises(ValueError, match=message):
        gradient_loss(**given)


def test_auto_takes_the_reference_for_wide_kernels_and_targets_that_want_a_gradient():
    images, kx, ky, target, _ = example(SOBEL, (1, 3, 6, 7))
    loss = gradient_loss(images, target.requires_grad_(), kx, ky)
    (grad,) = torch.autograd.grad(loss, target)
    assert grad.abs().sum().item() == pytest.approx(1)  # a mean of 20 signs
    picture, wide = random(1, 1, 20, 20), torch.zeros(17, 17)
    assert not bool(gradient_modulus(picture, wide, wide).any())
    with pytest.raises(ValueError, match="at most 15 pixels wide"):
        gradient_modulus(picture, wide, wide, backend="numba")


def test_peers_compute_the_same_modulus():
    images = random(1, 3, 40, 50)
    wanted = gradient_modulus_reference(images, *SOBEL.kernels())
    found = modulus_peers(images)
    assert found
    for name, call in found.items():
        got = torch.as_tensor(call()).reshape(wanted.shape)
        torch.testing.assert_close(got, wanted, atol=1e-6, rtol=1e-5, msg=name)
