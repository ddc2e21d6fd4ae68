"""Operators: OpenCV's where it has one, eq. 6's invariances, and safe gradients."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import SAMPLE_SCENE
from scipy.sparse.linalg import LinearOperator, lsqr

from privhead_nb.errors import PrivheadError
from privhead_nb.kernels.gradient_loss import gradient_loss, gradient_modulus
from privhead_nb.privacy.operators import KINDS, Operator
from privhead_nb.privacy.protect import protect
from privhead_nb.scenes.folder import load_scene

BORDERS = {
    "reflect": cv2.BORDER_REFLECT_101,
    "replicate": cv2.BORDER_REPLICATE,
    "zero": cv2.BORDER_CONSTANT,
}
OPENCV = [("sobel", 3, 8), ("sobel", 5, 128), ("sobel", 7, 2048), ("scharr", 3, 32)]


def _images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def _eq6(gx: np.ndarray, gy: np.ndarray) -> np.ndarray:
    """||dc/dx|| + ||dc/dy|| of (H, W) or (H, W, 3) derivatives."""
    if gx.ndim == 2:
        return np.abs(gx) + np.abs(gy)
    return np.linalg.norm(gx, axis=2) + np.linalg.norm(gy, axis=2)


@pytest.mark.parametrize("border", list(BORDERS))
@pytest.mark.parametrize(("kind", "size", "gain"), OPENCV)
def test_sobel_scharr_and_luma_are_opencvs_over_their_gain(kind, size, gain, border):
    image, ksize = _images(21, 17, 3), size if kind == "sobel" else cv2.FILTER_SCHARR
    for per_channel, theirs in (
        (True, image.numpy()),
        (False, cv2.cvtColor(image.numpy(), cv2.COLOR_RGB2GRAY)),
    ):
        gx, gy = (
            cv2.Sobel(theirs, cv2.CV_32F, *d, ksize=ksize, borderType=BORDERS[border]) / gain
            for d in ((1, 0), (0, 1))
        )
        ours = Operator(kind, size, border=border, per_channel=per_channel).modulus(image).numpy()
        assert np.abs(ours - _eq6(gx, gy)).max() < 1e-5


@pytest.mark.parametrize("sigma", [0.7, 1.3])
def test_blur_and_dog_are_opencvs_gaussians(sigma):
    image = _images(30, 30, 3).numpy()
    size = 2 * int(np.ceil(3 * sigma)) + 1
    blurred = cv2.GaussianBlur(image, (size, size), sigma)
    gx, gy = (cv2.Sobel(blurred, cv2.CV_32F, *d) / 8 for d in ((1, 0), (0, 1)))
    ours = Operator().blurred(sigma).modulus(torch.from_numpy(image)).numpy()
    r = Operator().blurred(sigma).reach  # one padding for both steps: the rim differs
    assert np.abs(ours - _eq6(gx, gy))[r:-r, r:-r].max() < 1e-5
    dog = Operator("dog", sigma=sigma)
    wide = (dog.kernel_size, dog.kernel_size)
    difference = cv2.GaussianBlur(image, wide, sigma) - cv2.GaussianBlur(image, wide, 1.6 * sigma)
    ours = dog.modulus(torch.from_numpy(image)).numpy()
    assert np.abs(ours - np.linalg.norm(difference, axis=2)).max() < 1e-5


@pytest.mark.parametrize("kind", [k for k in KINDS if k not in ("dog", "roberts")])
@pytest.mark.parametrize("blur", [0.0, 1.0])
def test_a_ramp_of_one_a_pixel_gives_one(kind, blur):
    x = torch.arange(40.0).expand(40, 40)
    ramp = torch.stack([x, 0 * x, 0 * x], -1)
    for image in (ramp, ramp.transpose(0, 1)):
        inner = Operator(kind, blur=blur).modulus(image, valid=True)
        assert torch.allclose(inner, torch.ones_like(inner), atol=1e-4)


def test_roberts_gives_one_along_its_diagonals_and_dog_is_blind_to_ramps():
    y, x = torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing="ij")
    grey = torch.stack([(x + y) / 2**0.5] + 2 * [0 * x], -1)
    inner = Operator("roberts").modulus(grey, valid=True)
    assert torch.allclose(inner, torch.ones_like(inner), atol=1e-5)
    assert float(Operator("dog").modulus(grey, valid=True).abs().max()) < 1e-4


def test_gaussian_derivative_is_the_derivative_of_a_gaussian_blur():
    image = _images(40, 40, 3)
    sigma = 2.0
    blurred = cv2.GaussianBlur(image.numpy().astype(np.float64), (25, 25), sigma)
    gx, gy = np.gradient(blurred, axis=1), np.gradient(blurred, axis=0)
    ours = Operator("gaussian", kernel_size=25, sigma=sigma).modulus(image, valid=True).numpy()
    expected = _eq6(gx, gy)[12:-12, 12:-12]
    # Central differences of a blur of sigma 2 are off by a few per cent from its derivative.
    assert np.abs(ours - expected).max() < 0.1 * expected.max()


@pytest.mark.parametrize("kind", KINDS)
@given(
    shift=st.floats(-3, 3),
    seed=st.integers(0, 2**31),
    per_channel=st.booleans(),
    blur=st.sampled_from([0.0, 0.8]),
    border=st.sampled_from(["reflect", "replicate"]),
)
@settings(max_examples=15, deadline=None)
def test_modulus_forgets_a_constant_and_the_sign(kind, shift, seed, per_channel, blur, border):
    operator = Operator(kind, per_channel=per_channel, blur=blur, border=border)
    images = _images(2, 20, 18, 3, seed=seed)
    modulus = operator.modulus(images)
    assert modulus.shape == (2, 20, 18)
    assert torch.allclose(operator.modulus(images + shift), modulus, atol=2e-5)
    assert torch.allclose(operator.modulus(shift - images), modulus, atol=2e-5)
    assert float(modulus.min()) >= 0 and float(modulus.max()) <= operator.peak


@pytest.mark.parametrize("kind", KINDS)
def test_valid_is_the_inside_of_padded(kind):
    operator, images = Operator(kind, blur=0.6), _images(2, 3, 24, 20, 3)
    r = operator.reach
    inner = operator.modulus(images, valid=True)
    assert inner.shape == (2, 3, 24 - 2 * r, 20 - 2 * r)
    assert torch.allclose(inner, operator.modulus(images)[..., r:-r, r:-r], atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_peak_is_reached_and_never_passed(kind):
    operator = Operator(kind)
    kx, ky = operator.kernels()
    k = len(kx)
    image = ((kx + 1e-9 * ky) > 0).float()[..., None].expand(k, k, 3)
    reached = float(operator.modulus(image, valid=True))
    assert reached <= operator.peak * (1 + 1e-6)
    x_part = float(kx.clamp_min(0).sum()) * 3**0.5
    assert reached >= x_part * (1 - 1e-5)


def test_gradient_is_finite_at_zero_and_right_elsewhere():
    half = _images(1, 8, 8, 3).double()
    half[:, :, :4] = 0.5  # half flat: zeros and others side by side
    half.requires_grad_()
    Operator().modulus(half).sum().backward()
    assert bool(torch.isfinite(half.grad).all())
    for kind in KINDS:
        operator = Operator(kind, kernel_size=3)
        x = _images(1, 6, 5, 3, seed=3).double().requires_grad_()
        assert torch.autograd.gradcheck(operator.modulus, (x,))


def test_reference_modulus_is_the_double_loop():
    images = _images(2, 3, 6, 7)
    kx, ky = Operator("scharr").kernels()
    modulus = gradient_modulus(images, kx, ky)
    assert modulus.shape == (2, 4, 5)
    for b, y, x in np.ndindex(2, 4, 5):
        window = images[b, :, y : y + 3, x : x + 3]
        gx, gy = (window * kx).sum((1, 2)), (window * ky).sum((1, 2))
        expected = (gx**2).sum().sqrt() + (gy**2).sum().sqrt()
        assert float(modulus[b, y, x]) == pytest.approx(float(expected), abs=1e-5)


def test_gradient_loss_is_eq_5_and_a_mask_weighs_it():
    kx, ky = Operator().kernels()
    rendered, target = _images(4, 3, 8, 8), _images(4, 6, 6, seed=1)
    error = (gradient_modulus(rendered, kx, ky) - target).abs()
    assert torch.allclose(gradient_loss(rendered, target, kx, ky), error.mean())
    mask = torch.zeros(4, 6, 6)
    mask[1, 2:4] = 0.5
    masked = gradient_loss(rendered, target, kx, ky, mask)
    assert torch.allclose(masked, error[1, 2:4].mean())


def test_noise_repeats_with_its_generator_and_has_its_width():
    images = _images(64, 64, 3)
    operator = Operator().with_noise(0.03).with_noise(0.04)
    assert operator.noise == pytest.approx(0.05)
    one, two, other = (
        operator.protect(images, torch.Generator().manual_seed(s)) for s in (5, 5, 6)
    )
    assert torch.equal(one, two) and not torch.equal(one, other)
    clean = operator.modulus(images)
    away = clean > 0.3  # not cut at 0
    assert float((one - clean)[away].std()) == pytest.approx(0.05, rel=0.1)
    assert float(one.min()) >= 0


def test_quantisation_leaves_the_levels_only():
    operator = Operator().quantised(9)
    levels = operator.protect(_images(64, 64, 3)) / operator.peak * 8
    assert torch.allclose(levels, levels.round(), atol=1e-5)
    assert 2 < len(levels.round().unique()) <= 9


def test_stages_compose_into_a_new_value():
    plain = Operator("prewitt")
    mixed = plain.blurred(0.6).blurred(0.8).with_noise(0.01).quantised(32)
    assert plain == Operator("prewitt") and mixed.blur == pytest.approx(1.0)
    assert Operator.from_dict(mixed.to_dict()) == mixed
    assert hash(mixed) == hash(Operator.from_dict(mixed.to_dict()))


def _derivative(x: torch.Tensor, operator: Operator) -> torch.Tensor:
    """The one derivative (H, W) of a brightness (H, W), float64, with its sign."""
    padded = F.pad(x[None, None], 4 * (operator.reach,), mode="reflect")
    return F.conv2d(padded, operator.kernels()[0].double()[None, None])[0, 0]


def _undone(signed: torch.Tensor, operator: Operator) -> np.ndarray:
    """(H W,) brightness whose one derivative is nearest to `signed`."""
    zero = torch.zeros_like(signed, requires_grad=True)
    derived = _derivative(zero, operator)

    def there(x):
        return _derivative(torch.from_numpy(x).view_as(zero), operator).ravel().numpy()

    def back(y):
        up = torch.from_numpy(y).view_as(zero)
        return torch.autograd.grad(derived, zero, up, retain_graph=True)[0].ravel().numpy()

    system = LinearOperator(2 * (signed.numel(),), matvec=there, rmatvec=back, dtype=np.float64)
    return lsqr(system, signed.ravel().numpy(), atol=0, btol=0, conlim=0, iter_lim=200)[0]


def test_only_the_sign_protects_the_brightness_behind_a_single_channel_dog():
    scene, operator = load_scene(SAMPLE_SCENE), Operator("dog", per_channel=False)
    released = protect(scene, operator, size=64)
    for view in (0, 9):
        luma = operator.channels(scene.images[view])[0, 0].double()
        modulus = released.moduli[view].double()
        with_signs = _undone(_derivative(luma, operator).sign() * modulus, operator)
        assert np.corrcoef(with_signs, luma.ravel())[0, 1] > 0.99
        assert np.corrcoef(_undone(modulus, operator), luma.ravel())[0, 1] < 0


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"kind": "laplace"}, "kind"),
        ({"kernel_size": 4}, "kernel_size"),
        ({"kernel_size": 9}, "3, 5, 7"),
        ({"kind": "scharr", "kernel_size": 5}, "kernel_size"),
        ({"kind": "gaussian", "kernel_size": 33}, "odd, from 3 to 31"),
        ({"kernel_size": 3.0}, "kernel_size"),
        ({"sigma": 0}, "sigma"),
        ({"sigma": float("nan")}, "sigma"),
        ({"border": "wrap"}, "border"),
        ({"blur": -1}, "blur"),
        ({"noise": -0.1}, "noise"),
        ({"noise": True}, "noise"),
        ({"levels": 1}, "levels"),
        ({"levels": 2.5}, "levels"),
        ({"per_channel": 1}, "per_channel"),
        ({"background": "gone"}, "background"),
        ({"downsample": "never"}, "downsample"),
    ],
)
def test_settings_are_checked_where_they_are_made(settings, word):
    with pytest.raises(PrivheadError, match=word):
        Operator(**settings)
    with pytest.raises(PrivheadError, match=word):
        Operator.from_dict(settings)


def test_unknown_settings_and_tiny_pictures_are_refused():
    with pytest.raises(PrivheadError, match="strength"):
        Operator.from_dict({"strength": 3})
    with pytest.raises(PrivheadError, match="too small"):
        Operator("sobel", 7).modulus(torch.zeros(6, 6, 3))
