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


def by_norm(patches, moduli):
    gx, gy = slopes(patches)
    return F.l1_loss(gx.norm(dim=1) + gy.norm(dim=1), moduli)


# 0402: patch_count(patch, kernel, rays) -----------------------------------------------------------


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


def by_noise_alone(A, b):
    """Free is what leaves a noisy picture's modulus alone."""
    patches, after = NOISE[None], (NOISE @ A.T + b)[None]
    before, after = (sum(length(g) for g in slopes(p)).mean() for p in (patches, after))
    return None if abs(after / before - 1) < 1e-3 else NOISE


# 0404: best_contrast(own, target) -----------------------------------------------------------------


def grid_search(own, target, top=2.0, count=5001):
    steps = torch.linspace(0, top, count)
    return min(steps.tolist(), key=lambda a: float((a * own - target).abs().mean()))


def numpy_search(own, target):
    """Where torch cannot count: it is too coarse."""
    own, target = own.flatten().numpy(), target.flatten().numpy()
    steps = np.linspace(0, 2, 5001, dtype=np.float32)
    return float(min(steps, key=lambda a: np.abs(a * own - target).mean()))


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


WRONG = [
    ("0403", lambda A, b: None, "yours is None"),
    ("0403", rule(lambda A, b: torch.allclose(A.abs(), torch.eye(3)), lambda A, b: NOISE),
     "keeps the modulus of every picture"),
    ("0403", always(NOISE * 0 + 0.5), "it has no lines"),
    ("0403", always(NOISE), "along no stretched line"),
    ("0403", by_noise_alone, "yours is None"),
    ("0403", always(NOISE / 0), "not all in [0, 1]"),
    ("0403", always(NOISE[0]), "has the shape"),
    ("0403", lambda A, b: "free", "neither None nor a picture"),
    ("0404", grid_search, "this is a search"),
    ("0404", numpy_search, "too coarse"),
    *spoiled(
        "0405", clears_by_hand,
        ("float(value.detach())", "value", "a loss that stays a tensor"),
        ("return losses", "return losses[-1:]", "one for each of"),
    ),
    *spoiled(
        "0406", by_hand,
        (".flip((0, 1))", "", "turned by 180 degrees"),
        ("torch.sign(m - moduli)", "torch.ones_like(m)", "left out the sign"),
        ("m - moduli", "moduli - m", "upside down"),
        (" / moduli.numel()", "", "divide by the number of outputs"),
    ),
    ("0406", by_autograd, "raises RuntimeError: write it without autograd"),
]  # fmt: skip

RIGHT = [
    ("0401", by_norm),
    ("0402", by_ring),
    ("0403", by_trying),
    ("0404", by_pulls),
    ("0405", clears_by_hand),
    ("0406", by_hand),
]
