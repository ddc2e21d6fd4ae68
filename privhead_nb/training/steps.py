"""What one training step minimises: the terms of stage 1 (RGB) and of stage 2 (moduli), eq. 9."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from privhead_nb.errors import TrainingError
from privhead_nb.kernels.gradient_loss import gradient_loss
from privhead_nb.privacy.operators import Operator
from privhead_nb.training.batches import (
    Views,
    draw_patches,
    draw_pixels,
    patch_weights,
    pixel_pool,
)
from privhead_nb.training.losses import (
    eikonal_loss,
    laplacian_loss,
    lipschitz_loss,
    mask_loss,
    rgb_loss,
)
from privhead_nb.training.profiles import Stage1, Stage2
from privhead_nb.training.run import Run, Terms


def eikonal_points(run: Run, count: int) -> Tensor:
    """Random points (count, 3) for the eikonal and Laplacian terms, half of them near the surface.

    Those near the surface reach the side that no neutral view shows: without them stage 1 leaves
    lumps there, and stage 2, which sees no signs, can settle into them.
    """
    anywhere = torch.rand(count, 3, generator=run.generator, device=run.device) * 2 - 1
    if run.settings.render.sampler != "surface":
        return anywhere
    near = run.cache.near_surface(count // 2, run.generator)
    return torch.cat([near, anywhere[len(near) :]])


def rgb_terms(run: Run, views: Views, stage: Stage1) -> Callable[[], Terms]:
    """A function that draws pixels and returns one step's terms: rgb + eikonal + mask (eq. 9).

    Args:
        run: whose model is rendered; its generator draws.
        views: RGB views on the run's device.
        stage: numbers of rays and points, and the weights.
    """
    pool = pixel_pool(views)
    colours, masks = views.values.reshape(-1, 3), views.masks.reshape(-1)
    per_view = views.size * views.size

    def step() -> Terms:
        flat = draw_pixels(pool, stage.rays, run.generator)
        points = eikonal_points(run, stage.eikonal_points)
        shown = run.render(views, flat, points)
        terms = {
            "rgb": stage.rgb * rgb_loss(shown.colour, colours[flat]),
            "eikonal": stage.eikonal * eikonal_loss(shown.gradients),
        }
        known = views.masked[flat.div(per_view, rounding_mode="floor")]
        if stage.mask and bool(known.any()):
            # averaged over all rays, so that its weight does not hang on how many views have one
            opacity, mask = shown.opacity * known, masks[flat] * known
            terms["mask"] = stage.mask * mask_loss(opacity, mask)
        if stage.laplacian and shown.laplacians is not None:
            terms["laplacian"] = stage.laplacian * laplacian_loss(shown.laplacians)
        return terms

    return step


def modulus_terms(run: Run, views: Views, operator: Operator, stage: Stage2) -> Callable[[], Terms]:
    """A function that draws patches and returns one step's terms: gradient + eikonal + Lipschitz.

    This is eq. 9 with lambda_1 = 0: the rendered patches' moduli against the released ones (eq. 5).

    Args:
        run: whose model is rendered; its generator draws.
        views: moduli on the run's device.
        operator: that made them.
        stage: numbers of patches and points, and the weights.

    Raises:
        TrainingError: a patch of this operator is larger than the released pictures.
    """
    reach = operator.reach
    side = stage.patch + 2 * (reach - 1)  # a wider kernel gets a wider patch, the same inner one
    if side > views.size:
        raise TrainingError(
            f"a patch of {side} pixels is larger than the released {views.size}",
            where="operator",
            remedy="Use a smaller kernel or blur, a larger --size, or a smaller stage2.patch.",
        )
    kernels = [k.to(run.device) for k in operator.kernels()]
    weights = patch_weights(views.values, side)
    moduli, masks = views.values.reshape(-1), views.masks.reshape(-1)
    inner = slice(reach, side - reach)

    def step() -> Terms:
        flat = draw_patches(views, weights, stage.patches, side, run.generator)
        points = eikonal_points(run, stage.eikonal_points)
        shown = run.render(views, flat.reshape(-1), points)
        patches = shown.colour.reshape(stage.patches, side, side, 3)
        target = moduli[flat[:, inner, inner]]
        loss = gradient_loss(operator.channels(patches), target, kernels[0], kernels[1])
        terms = {
            "gradient": stage.gradient * loss,
            "eikonal": stage.eikonal * eikonal_loss(shown.gradients),
        }
        if stage.laplacian and shown.laplacians is not None:
            terms["laplacian"] = stage.laplacian * laplacian_loss(shown.laplacians)
        if stage.lipschitz and run.step >= stage.lipschitz_from * stage.steps:
            bounds = run.model.colour.bounds()
            terms["lipschitz"] = stage.lipschitz * lipschitz_loss(
                bounds, log_sum=stage.lipschitz_log
            )
        if stage.mask and bool(views.masked.all()):
            terms["mask"] = stage.mask * mask_loss(shown.opacity, masks[flat].reshape(-1))
        return terms

    return step
