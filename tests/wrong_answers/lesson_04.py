"""Answers to lesson 4's exercises: wrong ones as students write them, right ones written anew."""

from __future__ import annotations

import math

import numpy as np
import torch
from answers import spoiled
from torch.nn import functional as F

SOBEL = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 8
NOISE = torch.rand(6, 6, 3, generator=torch.Generator().manual_seed(0))


def slopes(patches, kx=SOBEL, ky=SOBEL.T):
    """Derivatives along x and y of patches (P, H, W, C): two (P, C, h, w)."""
    planes = patches.permute(0, 3, 1, 2)
    channels = planes.shape[1]
    both = (k.expand(channels, 1, *k.shape) for k in (kx, ky))
    return [F.conv2d(planes, k, groups=channels) for k in both]


def length(g, tiny=1e-12):
    return (g.square().sum(1) + tiny).sqrt()


# 0401: gradient_loss(patches, moduli) -------------------------------------------------------------


def loss_with(modulus, distance=lambda d: d.abs().mean()):
    return lambda patches, moduli: distance(modulus(*slopes(patches)) - moduli)


def both_lengths(gx, gy):
    return length(gx) + length(gy)


def padded(patches, moduli):
    around = F.pad(patches.movedim(-1, 1), [1] * 4, mode="replicate").movedim(1, -1)
    return (sum(length(g) for g in slopes(around)) - moduli).abs().mean()


def central(patches, moduli):
    gx = (patches[:, 1:-1, 2:] - patches[:, 1:-1, :-2]) / 2
    gy = (patches[:, 2:, 1:-1] - patches[:, :-2, 1:-1]) / 2
    both = [(g.square().sum(-1) + 1e-12).sqrt() for g in (gx, gy)]
    return (both[0] + both[1] - moduli).abs().mean()


def cut_off(patches, moduli):
    return loss_with(lambda gx, gy: length(gx) + length(gy))(patches.detach(), moduli)


def by_norm(patches, moduli):
    gx, gy = slopes(patches)
    return F.l1_loss(gx.norm(dim=1) + gy.norm(dim=1), moduli)


def by_slices(patches, moduli):
    def along(p, axis):
        ahead, behind = p.narrow(axis, 2, p.shape[axis] - 2), p.narrow(axis, 0, p.shape[axis] - 2)
        d, other = ahead - behind, 3 - axis
        parts = (d.narrow(other, i, d.shape[other] - 2) for i in range(3))
        return sum(w * part for w, part in zip((1, 2, 1), parts, strict=True)) / 8

    gx, gy = along(patches, 2), along(patches, 1)
    m = (gx.pow(2).sum(-1) + 1e-12) ** 0.5 + (gy.pow(2).sum(-1) + 1e-12) ** 0.5
    return (m - moduli).abs().mean()


# 0402: patch_count(patch, kernel, rays) -----------------------------------------------------------


def counted(patch, kernel, rays):
    inner, count = patch - kernel + 1, rays // patch**2
    return count, count * inner**2, 1 - inner**2 / patch**2


def by_ring(patch, kernel, rays):
    inner = patch - 2 * (kernel // 2)
    patches = math.floor(rays / patch / patch)
    return [patches, patches * inner * inner, (patch**2 - inner**2) / patch**2]


# 0403: disprove(A, b) -----------------------------------------------------------------------------


def by_eigenvectors(A, b):
    if torch.linalg.matrix_norm(A.T @ A - torch.eye(3)) < 1e-3:
        return None
    values, vectors = torch.linalg.eigh(A.T @ A)
    axis = vectors[:, (values - 1).abs().argmax()]
    steps = torch.tensor([-0.4, -0.2, 0.0, 0.2, 0.4])
    return 0.5 + steps[:, None, None] * axis.expand(5, 5, 3)


def by_trying(A, b):
    """Tries ramps of many colours, and takes the one whose length changes most."""
    colours = F.normalize(torch.randn(4000, 3, generator=torch.Generator().manual_seed(1)), dim=1)
    change = ((colours @ A.T).norm(dim=1) - 1).abs()
    if change.max() < 1e-4:
        return None
    ramp = torch.linspace(0, 0.5, 6)[:, None, None] * colours[change.argmax()]
    return (0.5 + ramp).expand(6, 6, 3)


def rule(free, proof=by_eigenvectors):
    return lambda A, b: None if free(A, b) else proof(A, b)


def always(picture):
    """Knows what is free, and proves all else by one and the same picture."""
    return rule(lambda A, b: by_eigenvectors(A, b) is None, lambda A, b: picture)


def ramp(*colour):
    return (torch.linspace(0, 1, 6)[:, None, None] * torch.tensor(colour)).expand(6, 6, 3)


def or_new_noise(A, b):
    random = torch.Generator().manual_seed(int(1e6 * A.abs().sum()))
    return always(torch.rand(8, 8, 3, generator=random))(A, b)


def by_noise_alone(A, b):
    """Free is what leaves a noisy picture's modulus alone."""
    patches, after = NOISE[None], (NOISE @ A.T + b)[None]
    before, after = (sum(length(g) for g in slopes(p)).mean() for p in (patches, after))
    return None if abs(after / before - 1) < 1e-3 else NOISE


# 0404: best_contrast(own, target) -----------------------------------------------------------------


def grid_search(own, target, top=2.0, count=5001):
    steps = torch.linspace(0, top, count)
    return min(steps.tolist(), key=lambda a: float((a * own - target).abs().mean()))


def broadcast_search(own, target):
    steps = torch.linspace(0, 2, 1001)[:, None]
    losses = (steps * own.flatten() - target.flatten()).abs().mean(1)
    return float(steps[losses.argmin()])


def numpy_search(own, target):
    """Where torch cannot count: it is too coarse."""
    own, target = own.flatten().numpy(), target.flatten().numpy()
    steps = np.linspace(0, 2, 5001, dtype=np.float32)
    return float(min(steps, key=lambda a: np.abs(a * own - target).mean()))


def thirds(own, target):
    low, high = 0.0, 100.0
    for _ in range(80):
        a, b = low + (high - low) / 3, high - (high - low) / 3
        if (a * own - target).abs().sum() < (b * own - target).abs().sum():
            high = b
        else:
            low = a
    return low


def all_corners(own, target):
    ratios = (target[own > 0] / own[own > 0]).tolist()
    return min(ratios, key=lambda a: float((a * own - target).abs().sum()))


def unsorted_weights(own, target):
    own, target = own[own > 0], target[own > 0]
    ratio, heard = (target / own).sort().values, own.cumsum(0)
    return float(ratio[(heard < 0.5 * heard[-1]).sum()])


def plain_median(own, target):
    return float((target[own > 0] / own[own > 0]).median())


def at_most_one(own, target):
    return min(by_searchsorted(own, target), 1.0)


def by_searchsorted(own, target):
    own, target = own[own > 0].double(), target[own > 0].double()
    order = torch.argsort(target / own)
    heard = torch.cumsum(own[order], 0)
    at = torch.searchsorted(heard, heard[-1] / 2)
    return (target / own)[order][at]


def by_pulls(own, target):
    """Walks along the ratios until the pulls to both sides balance."""
    pairs = sorted(
        (t / o, o) for o, t in zip(own.flatten().tolist(), target.flatten().tolist(), strict=True)
        if o > 0
    )  # fmt: skip
    left = sum(o for _, o in pairs) / 2
    for ratio, o in pairs:
        left -= o
        if left <= 0:
            return ratio
    return 0.0


# 0405: descend(head, loss, batches, rate) ---------------------------------------------------------


def descend(head, loss, batches, rate):
    adam, losses = torch.optim.Adam(head.parameters(), lr=rate), []
    for rays, wanted in batches:
        adam.zero_grad()
        value = loss(head(*rays), wanted)
        value.backward()
        adam.step()
        losses.append(value.item())
    return losses


def clears_by_hand(head, loss, batches, rate):
    losses, adam = [], torch.optim.Adam(list(head.parameters()), rate)
    for (origins, directions), wanted in batches:
        for p in head.parameters():
            p.grad = None
        value = loss(head(origins, directions), wanted)
        value.backward()
        losses.append(float(value.detach()))
        adam.step()
    return losses


# 0406: gradient_by_hand(patches, moduli, kx, ky) --------------------------------------------------


def by_hand(patches, moduli, kx, ky):
    both, reach = slopes(patches, kx, ky), kx.shape[0] - 1
    m = sum(g.norm(dim=1) for g in both)
    s = torch.sign(m - moduli) / moduli.numel()
    found = torch.zeros_like(patches.movedim(-1, 1))
    for g, k in zip(both, (kx, ky), strict=True):
        unit = s[:, None] * (g / g.norm(dim=1, keepdim=True).clamp_min(1e-30))
        turned = k.flip((0, 1)).expand(g.shape[1], 1, *k.shape)
        found += F.conv2d(F.pad(unit, [reach] * 4), turned, groups=g.shape[1])
    return found.movedim(1, -1)


def by_autograd(patches, moduli, kx, ky):
    wanted = patches.clone().requires_grad_()
    found = sum(g.norm(dim=1) for g in slopes(wanted, kx, ky))
    return torch.autograd.grad((found - moduli).abs().mean(), wanted)[0]


def by_backward(patches, moduli, kx, ky):
    wanted = patches.clone().requires_grad_()
    found = sum(g.norm(dim=1) for g in slopes(wanted, kx, ky))
    (found - moduli).abs().mean().backward()
    return wanted.grad


def by_loops(patches, moduli, kx, ky):
    """Over outputs and taps, scattered instead of gathered."""
    (gx, gy), side = slopes(patches, kx, ky), kx.shape[0]
    out = torch.zeros_like(patches)
    for p, y, x in np.ndindex(*moduli.shape):
        window = out[p, y : y + side, x : x + side]
        m = gx[p, :, y, x].norm() + gy[p, :, y, x].norm()
        s = torch.sign(m - moduli[p, y, x]) / moduli.numel()
        for g, k in ((gx[p, :, y, x], kx), (gy[p, :, y, x], ky)):
            if g.norm() > 0:
                window += s * k[..., None] * (g / g.norm())
    return out


def by_transposed_convolution(patches, moduli, kx, ky):
    found, both = 0, slopes(patches, kx, ky)
    s = torch.sign(sum(g.norm(dim=1) for g in both) - moduli)[:, None] / moduli.numel()
    for g, k in zip(both, (kx, ky), strict=True):
        unit = s * F.normalize(g, dim=1)
        weight = k.expand(g.shape[1], 1, *k.shape)
        found = found + F.conv_transpose2d(unit, weight, groups=g.shape[1])
    return found.movedim(1, -1)


WRONG = [
    ("0401", loss_with(lambda gx, gy: length(torch.cat([gx, gy], 1))), "adds two lengths"),
    ("0401", loss_with(lambda gx, gy: (gx.abs() + gy.abs()).sum(1)), "root of the sum of squares"),
    ("0401", loss_with(lambda gx, gy: (gx**2 + gy**2).sum(1)), "take the root"),
    ("0401", loss_with(lambda gx, gy: (gx.mean(1).abs() + gy.mean(1).abs())), "not averaged"),
    ("0401", loss_with(lambda gx, gy: length(gx)), "derivative along y"),
    ("0401", loss_with(lambda gx, gy: 8 * length(gx) + 8 * length(gy)), "divided by 8"),
    ("0401", loss_with(lambda gx, gy: length(gy)), "derivative along x"),
    ("0401", loss_with(lambda gx, gy: 2 * length(gx)), "along the same axis"),
    ("0401", loss_with(lambda gx, gy: (length(gx) + length(gy)) / 2), "does not average"),
    ("0401", loss_with(lambda gx, gy: torch.maximum(length(gx), length(gy))), "take the larger"),
    ("0401", loss_with(lambda gx, gy: length(2 * gx) + length(2 * gy)), "the gain is 8"),
    ("0401", loss_with(lambda gx, gy: (gx**2 + gy**2 + 1e-12).sqrt().sum(1)), "one for each of"),
    ("0401", loss_with(lambda gx, gy: gx.sum(1).abs() + gy.sum(1).abs()), "must not cancel"),
    ("0401", loss_with(both_lengths, lambda d: d.abs().mean((1, 2)).sum()), "over the patches"),
    ("0401", loss_with(both_lengths, lambda d: d.abs().sum((1, 2)).mean()), "within a patch"),
    ("0401", loss_with(both_lengths, lambda d: d.square().mean().sqrt()), "a mean of squares"),
    ("0401", loss_with(both_lengths, lambda d: d.relu().mean()), "too weak count"),
    ("0401", loss_with(both_lengths, lambda d: (-d).relu().mean()), "too strong count"),
    ("0401", loss_with(lambda gx, gy: length(gx, 1e-6) + length(gy, 1e-6)), "yours, 1e-6"),
    ("0401", loss_with(lambda gx, gy: length(gx, 1e-8) + length(gy, 1e-8)), "yours, 1e-8"),
    ("0401", central, "single differences"),
    ("0401", loss_with(lambda gx, gy: length(gx) + length(gy), torch.mean), "absolutely before"),
    ("0401", loss_with(lambda gx, gy: length(gx) + length(gy), lambda d: (d**2).mean()),
     "not squares"),
    ("0401", loss_with(lambda gx, gy: length(gx) + length(gy), lambda d: d.abs().sum()),
     "not their sum"),
    ("0401", loss_with(lambda gx, gy: length(gx, 0.0) + length(gy, 0.0)), "a tiny number"),
    ("0401", loss_with(lambda gx, gy: length(gx, 1e-3) + length(gy, 1e-3)), "lines of its own"),
    ("0401", loss_with(lambda gx, gy: length(gx) + length(gy), torch.abs), "yours raises"),
    ("0401", padded, "yours raises"),
    ("0401", cut_off, "yours raises"),
    *spoiled(
        "0402", counted,
        ("- kernel + 1", "- kernel // 2", "on both sides"),
        (" + 1", "", "takes the whole kernel away"),
        (" - kernel + 1", "", "have no neighbours"),
        ("//", "/", "only whole patches"),
        ("rays // patch**2", "math.ceil(rays / patch**2)", "one patch more"),
        ("1 - inner**2", "inner**2", "share that is compared"),
        ("1 - inner**2 / patch**2", "1 - inner / patch", "by squares, not by sides"),
        ("return count, count * inner**2, 1 - inner**2 / patch**2", "return count",
         "has the shape"),
    ),
    ("0403", rule(lambda A, b: abs(abs(A.det()) - 1) < 1e-3), "volumes, not lengths"),
    ("0403", rule(lambda A, b: torch.allclose(A.norm(dim=0), torch.ones(3), atol=1e-3)),
     "at right angles"),
    ("0403", rule(lambda A, b: torch.allclose(A.abs(), torch.eye(3)), lambda A, b: NOISE),
     "keeps the modulus of every picture"),
    ("0403", rule(lambda A, b: not b.any() and by_eigenvectors(A, b) is None, lambda A, b: NOISE),
     "keeps the modulus of every picture"),
    ("0403", lambda A, b: None, "yours is None"),
    ("0403", always(NOISE * 0 + 0.5), "it has no lines"),
    ("0403", always(ramp(0.0, 0.0, 1.0)), "along no stretched line"),
    ("0403", always(NOISE), "along no stretched line"),
    ("0403", or_new_noise, "along no stretched line"),
    ("0403", always(ramp(0.9, 0.3, 0.2)), "along no stretched line"),
    ("0403", by_noise_alone, "yours is None"),
    ("0403", always(2 * NOISE), "not all in [0, 1]"),
    ("0403", always(NOISE / 0), "not all in [0, 1]"),
    ("0403", always(NOISE[0]), "has the shape"),
    ("0403", lambda A, b: by_eigenvectors(A, b) is None, "has the shape"),
    ("0403", lambda A, b: "free", "neither None nor a picture"),
    ("0404", grid_search, "this is a search"),
    ("0404", broadcast_search, "this is a search"),
    ("0404", numpy_search, "too coarse"),
    ("0404", thirds, "this is a search"),
    ("0404", all_corners, "this is a search"),
    ("0404", lambda o, t: float((o * t).sum() / (o * o).sum()), "makes squares smallest"),
    ("0404", plain_median, "the plain median"),
    ("0404", lambda o, t: float(t.sum() / o.sum()), "this compares sums"),
    ("0404", lambda o, t: float((t[o > 0] / o[o > 0]).mean()), "the mean of the ratios"),
    ("0404", unsorted_weights, "sort own along"),
    ("0404", at_most_one, "may be larger than 1"),
    ("0404", lambda o, t: t / o, "yours raises"),
    *spoiled(
        "0405", descend,
        ("        adam.zero_grad()\n", "", "slopes pile up"),
        ("Adam(", "SGD(", "plain gradient descent"),
        ("        adam.zero",
         "        adam = torch.optim.Adam(head.parameters(), lr=rate)\n        adam.zero",
         "made anew for each batch"),
        ("        adam.step()", "        adam.zero_grad(), adam.step()", "nothing has moved"),
        ("        adam.step()\n", "", "nothing has moved"),
        ("value.backward()", "(-value).backward()", "this climbs"),
        ("value.item()", "value", "a loss that stays a tensor"),
        ("value.item()", "loss(head(*rays), wanted).item()", "not the one after it"),
        ("lr=rate", "lr=1e-3", "the rate is not used"),
        ("return losses", "return losses[-1:]", "one for each of"),
        ("in batches", "in [batches[i] for i in range(len(batches))]", "yours raises"),
        ("loss(head(*rays), wanted)", "(head(*rays) - wanted).abs().mean()",
         "uses a loss of its own"),
    ),
    *spoiled(
        "0406", by_hand,
        (".flip((0, 1))", "", "turned by 180 degrees"),
        ("torch.sign(m - moduli)", "torch.ones_like(m)", "left out the sign"),
        ("m - moduli", "moduli - m", "upside down"),
        (" / moduli.numel()", "", "divide by the number of outputs"),
        ("moduli.numel()", "moduli[0].numel()", "a mean over all patches"),
        (".clamp_min(1e-30)", "", "nan: a 0 / 0"),
        (" / g.norm(dim=1, keepdim=True).clamp_min(1e-30)", "",
         "divide the derivative by its length"),
        ("zip(both, (kx, ky), strict=True)", "[(both[0], kx)]", "derivative along y"),
        ("return found", "h = reach // 2\n    return F.pad(found[..., h:-h, h:-h], [h] * 4)",
         "pixels at the border"),
    ),
    ("0406", by_autograd, "raises RuntimeError: write it without autograd"),
    ("0406", by_backward, "raises RuntimeError: write it without autograd"),
    ("0406", lambda p, m, kx, ky: by_loops(p, m, kx, ky)[0], "has the shape"),
]  # fmt: skip

RIGHT = [
    ("0401", by_norm),
    ("0401", by_slices),
    ("0402", counted),
    ("0402", by_ring),
    ("0403", by_eigenvectors),
    ("0403", by_trying),
    ("0404", by_searchsorted),
    ("0404", by_pulls),
    ("0405", descend),
    ("0405", clears_by_hand),
    ("0406", by_hand),
    ("0406", by_loops),
    ("0406", by_transposed_convolution),
]
