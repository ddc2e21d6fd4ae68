"""Gradient modulus and loss: the kernels are the reference, forward, backward and at the edges."""

import pytest
import torch
from backends import DEVICE, KERNELS, device_of, needs_numba, needs_triton
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from privhead_nb.bench.gradient_loss import cases, peers
from privhead_nb.kernels.dispatch import prefer
from privhead_nb.kernels.gradient_loss import (
    gradient_loss,
    gradient_loss_reference,
    gradient_modulus,
    gradient_modulus_reference,
)
from privhead_nb.privacy.operators import Operator

SOBEL, SOBEL5 = Operator(), Operator("sobel", 5)
ROBERTS, DOG = Operator("roberts"), Operator("dog", 3)
BLURRED = Operator(blur=0.5)  # 7 x 7

# numba: 32 rows a job, so 63 and 70 rows are shared; (10, 3, 120, 120) wakes the second thread
NUMBA = [
    (SOBEL, (3, 3, 63, 60)),
    (Operator("scharr"), (1, 1, 70, 9)),
    (Operator("gaussian", 3), (2, 4, 10, 11)),
    (SOBEL, (1, 3, 131, 129)),
    (ROBERTS, (2, 3, 37, 12)),
    (DOG, (1, 2, 7, 7)),
    (SOBEL5, (3, 3, 63, 60)),
    (BLURRED, (2, 3, 41, 8)),
    (SOBEL, (2, 3, 3, 3)),
]
# triton: 128 pixels a strip, so 131 take two; the interpreter is slow, a GPU is not
SMALL = [
    (SOBEL, (2, 3, 5, 7)),
    (Operator("scharr"), (1, 1, 4, 131)),
    (Operator("gaussian", 3), (1, 2, 9, 5)),
    (SOBEL, (1, 4, 3, 3)),
    (ROBERTS, (2, 3, 6, 7)),
    (SOBEL5, (1, 2, 9, 8)),
    (BLURRED, (1, 5, 8, 9)),
]
TRITON = SMALL if DEVICE == "cpu" else [*SMALL, *NUMBA, (SOBEL, (1, 3, 1023, 1025))]
CASES = [pytest.param("numba", *case, marks=needs_numba) for case in NUMBA] + [
    pytest.param("triton", *case, marks=needs_triton) for case in TRITON
]


def random(*shape, seed=0, device="cpu"):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)).to(device)


def example(operator, size, device="cpu"):
    """Pictures with a flat part, kernels, targets, weights of which many are 0."""
    B, _, H, W = size
    shape = (B, H - 2 * operator.reach, W - 2 * operator.reach)
    images = random(*size, device=device)
    images[0, :, : 2 * H // 3, : 2 * W // 3] = 0.5
    target, drawn = random(*shape, seed=1, device=device), random(*shape, seed=2, device=device)
    return images, *operator.kernels(), target, (2 * drawn - 1).clamp_min(0)


def double(*tensors):
    return [x if x is None else x.detach().cpu().double() for x in tensors]


def off(got, wanted):
    """Relative RMS difference."""
    assert bool(torch.isfinite(got).all())
    return ((got.detach().cpu().double() - wanted).norm() / wanted.norm().clamp_min(1e-30)).item()


@pytest.mark.parametrize(("backend", "operator", "size"), CASES)
def test_modulus_and_its_gradient_are_the_references(backend, operator, size):
    images, kx, ky, upstream, _ = example(operator, size, device_of(backend))
    upstream = 2 * upstream - 1
    x64, kx64, ky64, upstream64 = double(images, kx, ky, upstream)
    wanted = gradient_modulus_reference(x64.requires_grad_(), kx64, ky64)
    (wanted_grad,) = torch.autograd.grad(wanted, x64, upstream64)
    got = gradient_modulus(images.requires_grad_(), kx, ky, backend=backend)
    (grad,) = torch.autograd.grad(got, images, upstream)
    assert got.shape == wanted.shape and off(got, wanted.detach()) < 1e-6
    assert off(grad, wanted_grad) < 1e-5


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("backend", "operator", "size"), CASES)
def test_loss_and_its_gradient_are_the_references(backend, operator, size, masked):
    images, kx, ky, target, mask = example(operator, size, device_of(backend))
    mask = mask if masked else None
    x64, kx64, ky64, target64, mask64 = double(images, kx, ky, target, mask)
    wanted = gradient_loss_reference(x64.requires_grad_(), target64, kx64, ky64, mask64)
    (wanted_grad,) = torch.autograd.grad(-1.7 * wanted, x64)
    with torch.no_grad():
        plain = gradient_loss(images, target, kx, ky, mask, backend=backend)
        assert off(plain, wanted.detach()) < 1e-6
    got = gradient_loss(images.requires_grad_(), target, kx, ky, mask, backend=backend)
    (grad,) = torch.autograd.grad(-1.7 * got, images)  # an upstream gradient other than 1
    assert got.shape == () and off(got, wanted.detach()) < 1e-6
    assert off(grad, wanted_grad) < 1e-5


@pytest.mark.parametrize("operator", [SOBEL, SOBEL5, ROBERTS])
def test_reference_gradients_are_the_difference_quotients(operator):
    images, kx, ky, target, mask = double(*example(operator, (2, 2, 7, 6)))
    images = random(2, 2, 7, 6, seed=3).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: gradient_modulus(x, kx, ky), (images,))
    target.requires_grad_()
    loss = lambda x, t: gradient_loss(x, t, kx, ky, mask)  # noqa: E731
    assert torch.autograd.gradcheck(loss, (images, target))


@pytest.mark.parametrize("backend", KERNELS)
@pytest.mark.parametrize("operator", [Operator("scharr"), SOBEL5])
def test_flat_pictures_have_modulus_and_gradient_zero(backend, operator):
    device = device_of(backend)
    images = torch.full((1, 2, 6, 7), 0.5, device=device, requires_grad=True)
    kx, ky = operator.kernels()
    modulus = gradient_modulus(images, kx, ky, backend=backend)
    loss = gradient_loss(images, torch.ones_like(modulus), kx, ky, backend=backend)
    (modulus.sum() + loss).backward()
    assert not bool(modulus.any()) and loss.item() == 1 and not bool(images.grad.any())


@pytest.mark.parametrize("backend", KERNELS)
def test_where_the_moduli_agree_the_loss_has_no_gradient(backend):
    images, kx, ky, *_ = example(SOBEL, (1, 2, 5, 7), device_of(backend))
    target = gradient_modulus(images, kx, ky, backend=backend)
    loss = gradient_loss(images.requires_grad_(), target, kx, ky, backend=backend)
    loss.backward()
    assert loss.item() < 1e-7
    target = target + 1e-3  # and just beside it has one
    (grad,) = torch.autograd.grad(gradient_loss(images, target, kx, ky, backend=backend), images)
    assert bool(grad.any())


@pytest.mark.parametrize("backend", KERNELS)
def test_mask_of_zeros_gives_zero(backend):
    images, kx, ky, target, mask = example(SOBEL, (1, 3, 6, 7), device_of(backend))
    loss = gradient_loss(images.requires_grad_(), target, kx, ky, 0 * mask, backend=backend)
    loss.backward()
    assert loss.item() == 0 and not bool(images.grad.any())


@pytest.mark.parametrize("backend", KERNELS)
def test_no_pictures_at_all(backend):
    kx, ky = SOBEL.kernels()
    images = torch.zeros(0, 3, 8, 9, device=device_of(backend), requires_grad=True)
    modulus = gradient_modulus(images, kx, ky, backend=backend)
    loss = gradient_loss(images, modulus.detach(), kx, ky, modulus.detach(), backend=backend)
    (modulus.sum() + loss).backward()
    assert modulus.shape == (0, 6, 7) and loss.item() == 0 and images.grad.shape == images.shape


@pytest.mark.parametrize("backend", KERNELS)
@pytest.mark.parametrize("operator", [SOBEL, SOBEL5])
def test_any_memory_order(backend, operator):
    """What a renderer gives, (B, H, W, C) moved, and a window of a larger picture."""
    images, kx, ky, target, mask = example(operator, (1, 3, 6, 7), device_of(backend))
    larger = torch.zeros(1, 3, 8, 9, device=images.device)
    larger[:, :, 1:7, 1:8] = images
    views = (
        images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2),
        larger[:, :, 1:7, 1:8],
    )
    across = target.transpose(1, 2).contiguous().transpose(1, 2)
    images.requires_grad_()
    wanted = gradient_loss(images, target, kx, ky, mask, backend=backend)
    (wanted_grad,) = torch.autograd.grad(wanted, images)
    for view in views:
        leaf = view.detach().requires_grad_()
        got = gradient_loss(leaf, across, kx, ky, mask, backend=backend)
        assert torch.equal(got, wanted)
        assert torch.equal(torch.autograd.grad(got, leaf)[0], wanted_grad)


@pytest.mark.parametrize("backend", KERNELS)
@pytest.mark.parametrize("operator", [SOBEL, SOBEL5])
def test_twice_gives_the_same_bits(backend, operator):
    size = (2, 3, 71, 90) if device_of(backend) == "cuda" or backend == "numba" else (1, 3, 6, 7)
    images, kx, ky, target, mask = example(operator, size, device_of(backend))

    def run():
        leaf = images.clone().requires_grad_()
        loss = gradient_loss(leaf, target, kx, ky, mask, backend=backend)
        return loss, *torch.autograd.grad(loss, leaf)

    first = run()
    if backend == "numba":  # at any number of threads: a job's rows are fixed
        torch.set_num_threads(2)
    try:
        again = run()
    finally:
        torch.set_num_threads(1)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("backend", KERNELS)
def test_what_is_saved_is_the_inputs_or_the_gradient(backend):
    images, kx, ky, target, mask = example(SOBEL, (1, 3, 6, 7), device_of(backend))
    images.requires_grad_()
    own = {x.data_ptr() for x in (images, target, mask)}
    extra = []

    def pack(x):
        if x.data_ptr() not in own:
            extra.append(x.numel())
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        gradient_modulus(images, kx, ky, backend=backend)
        assert not extra
        gradient_loss(images, target, kx, ky, mask, backend=backend)
    assert extra == ([images.numel()] if backend == "numba" else [1])


def test_target_that_wants_a_gradient_takes_the_reference():
    images, kx, ky, target, _ = example(SOBEL, (1, 3, 6, 7))
    target.requires_grad_()
    loss = gradient_loss(images, target, kx, ky)
    (grad,) = torch.autograd.grad(loss, target)
    assert grad.abs().sum().item() == pytest.approx(1)  # a mean of 20 signs
    with pytest.raises(ValueError, match="gradient to the pictures only"):
        gradient_loss(images, target, kx, ky, backend="numba")


def test_auto_takes_numba_on_the_cpu_and_the_reference_when_told():
    images, kx, ky, *_ = example(SOBEL, (1, 3, 6, 7))
    images.requires_grad_()
    assert "_Modulus" in type(gradient_modulus(images, kx, ky).grad_fn).__name__
    with prefer("torch"):
        assert "_Modulus" not in type(gradient_modulus(images, kx, ky).grad_fn).__name__
    assert gradient_modulus(images.double(), kx, ky).dtype == torch.float64


def test_a_form_that_cant_run_says_why():
    images, kx, ky, target, _ = example(SOBEL, (1, 3, 6, 7))
    with pytest.raises(ValueError, match="float32"):
        gradient_modulus(images.double(), kx, ky, backend="numba")
    with pytest.raises(ValueError, match="float64"):
        gradient_loss(images, target.double(), kx, ky, backend="numba")
    wide = torch.zeros(17, 17)
    with pytest.raises(ValueError, match="at most 15 pixels wide"):
        gradient_modulus(random(1, 1, 20, 20), wide, wide, backend="numba")
    assert not bool(gradient_modulus(random(1, 1, 20, 20), wide, wide).any())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rendered": torch.rand(3, 6, 7)}, r"must be \(B, C, H, W\)"),
        ({"rendered": torch.rand(1, 3, 2, 7)}, "H, W >= 3"),
        ({"kx": torch.rand(3, 2)}, r"\(k, k\) with k odd"),
        ({"kx": torch.rand(2, 2), "ky": torch.rand(2, 2)}, r"\(k, k\) with k odd"),
        ({"target": torch.rand(1, 4, 4)}, r"target must be \(1, 4, 5\)"),
        ({"mask": torch.rand(4, 5)}, r"mask must be \(1, 4, 5\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(change, message):
    images, kx, ky, target, mask = example(SOBEL, (1, 3, 6, 7))
    given = {"rendered": images, "target": target, "kx": kx, "ky": ky, "mask": mask} | change
    with pytest.raises(ValueError, match=message):
        gradient_loss(**given)


@pytest.mark.parametrize("padded", [False, True])
@given(
    seed=st.integers(0, 99),
    constant=st.floats(-3, 3, width=32),
    kind=st.sampled_from(["sobel", "scharr", "prewitt", "roberts", "central", "gaussian"]),
)
@settings(deadline=None, max_examples=25)
def test_modulus_forgets_the_level_and_the_sign(padded, seed, constant, kind):
    """c and constant + c and constant - c have one modulus, inside and with reflecting borders."""
    images, (kx, ky) = random(2, 3, 8, 9, seed=seed), Operator(kind, kernel_size=3).kernels()

    def modulus(x):
        x = F.pad(x, (1, 1, 1, 1), mode="reflect") if padded else x
        return gradient_modulus(x, kx, ky, backend="numba")

    wanted = modulus(images)
    for other in (images + constant, constant - images):
        torch.testing.assert_close(modulus(other), wanted, atol=3e-6, rtol=1e-5)


@given(seed=st.integers(0, 99), scale=st.floats(0.0078125, 100, width=32))
@settings(deadline=None, max_examples=25)
def test_modulus_and_loss_scale_with_the_colours(seed, scale):
    images, (kx, ky) = random(1, 3, 8, 9, seed=seed), SOBEL.kernels()
    target = random(1, 6, 7, seed=seed + 100)
    modulus = gradient_modulus(images, kx, ky, backend="numba")
    scaled = gradient_modulus(scale * images, kx, ky, backend="numba")
    torch.testing.assert_close(scaled, scale * modulus, atol=1e-6 * scale, rtol=1e-5)
    a, b = images.clone().requires_grad_(), (scale * images).requires_grad_()
    loss = gradient_loss(a, target, kx, ky, backend="numba")
    scaled = gradient_loss(b, scale * target, kx, ky, backend="numba")
    torch.testing.assert_close(scaled, scale * loss, atol=1e-6 * scale, rtol=1e-5)
    loss.backward()
    scaled.backward()
    torch.testing.assert_close(a.grad, b.grad, atol=1e-6, rtol=1e-4)


def test_peers_compute_the_same_modulus():
    images = random(1, 3, 40, 50)
    wanted = gradient_modulus_reference(images, *SOBEL.kernels())
    found = peers(images)
    assert found
    for name, call in found.items():
        got = torch.as_tensor(call()).reshape(wanted.shape)
        torch.testing.assert_close(got, wanted, atol=1e-6, rtol=1e-5, msg=name)


def test_benchmark_cases_agree_with_their_reference():
    for case in cases(torch.device("cpu"), quick=True):
        answers = [function(*case.inputs) for function in case.functions.values()]
        assert len(answers) == 2 and off(answers[1], answers[0].detach().double()) < case.tolerance
