"""Which views a stage sees, and which pixels of them a step: single ones, or patches of moduli."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from privhead_nb.heads.light import to_linear, to_srgb
from privhead_nb.privacy.release import Release
from privhead_nb.render.volume import Rays
from privhead_nb.scenes.camera import Cameras, parts_of_pixel
from privhead_nb.scenes.scene import Scene

RAYS_KEPT = 1 << 22
FEW_EDGES = 300  # colours of outline pixels that say too little of how light was averaged
TRUSTED_OFFSET = 0.03  # of coverage, by which masks may be off


def unit_cameras(cameras: Cameras, center: tuple[float, float, float], radius: float) -> Cameras:
    """The same cameras in unit-sphere coordinates x = (p - center) / radius."""
    c2w = cameras.c2w.clone()
    c2w[:, :3, 3] = (c2w[:, :3, 3] - c2w.new_tensor(center)) / radius
    return replace(cameras, c2w=c2w)


def camera_rays(cameras: Cameras, view: Tensor, xy: Tensor) -> Rays:
    """Rays through pixels: view (N,), pixel index coordinates xy (N, 2)."""
    origins, directions = cameras.rays(view, xy)
    focal = cameras.K[:, :2, :2].diagonal(dim1=-2, dim2=-1).mean(-1).to(xy.device)
    # Seen along a slanted ray a pixel is as much smaller as its ray is longer.
    return Rays(origins, directions, (1 / focal).float()[view])


@dataclass(frozen=True)
class Views:
    """Views that a stage looks at, on the training device.

    Args:
        cameras: their cameras, unit-sphere coordinates.
        values: (V, H, W, 3) colours or (V, H, W) moduli.
        masks: (V, H, W) coverage.
        masked: (V,) bool, which views have a released mask.
        background: (3,) colour behind the head.
    """

    cameras: Cameras
    values: Tensor
    masks: Tensor
    masked: Tensor
    background: Tensor

    @property
    def size(self) -> int:
        return self.values.shape[1]

    @cached_property
    def kept(self) -> dict[int, Rays]:
        """Rays through all pixels, by how many a pixel's side has, once `rays_at` made them."""
        return {}


def released_views(release: Release, which: str, device: torch.device) -> Views:
    """The "neutral" or "sensitive" views of a release, with the masks that it shows."""
    neutral = which == "neutral"
    chosen = list(release.neutral if neutral else release.sensitive)
    shown = release.masks is not None and (neutral or release.masks_released == "all")
    masks = torch.zeros(len(chosen), release.size, release.size)
    if shown and release.masks is not None:
        masks = release.masks[chosen] if release.masks_released == "all" else release.masks
    values = release.neutral_images if neutral else release.moduli
    return Views(
        cameras=unit_cameras(release.cameras[chosen], release.center, release.radius).to(device),
        values=values.to(device),
        masks=masks.to(device),
        masked=torch.full((len(chosen),), shown, device=device),
        background=torch.tensor(release.background, device=device),
    )


def scene_views(
    scenes: Sequence[Scene], device: torch.device, *, neutral_masks: bool = False
) -> Views:
    """All views of scenes of one size, each in its own unit sphere, before the first's background.

    All have their masks, or only the neutral ones with `neutral_masks`.
    """
    cameras = [unit_cameras(s.cameras, s.center, s.radius) for s in scenes]
    both = replace(
        cameras[0],
        K=torch.cat([c.K for c in cameras]),
        c2w=torch.cat([c.c2w for c in cameras]),
    )
    shown = [not neutral_masks or v in s.neutral for s in scenes for v in range(len(s.cameras))]
    return Views(
        cameras=both.to(device),
        values=torch.cat([s.images for s in scenes]).to(device),
        masks=torch.cat([s.masks for s in scenes]).to(device),
        masked=torch.tensor(shown, device=device),
        background=torch.tensor(scenes[0].background, device=device),
    )


def pixel_pool(views: Views) -> Tensor:
    """Flat indices of pixels on or near the head: where a mask or the colour says so.

    The head is widened by a ninth of the picture, so that a surface that grows beyond its outline
    is called back.
    """
    off_background = ((views.values - views.background).abs().amax(-1) > 0.02).float()
    head = torch.where(views.masked[:, None, None], (views.masks > 0).float(), off_background)
    reach = max(1, round(views.size / 18))
    wide = F.max_pool2d(head[:, None], 2 * reach + 1, 1, reach)[:, 0]
    pool = (wide.reshape(-1) > 0).nonzero()[:, 0]
    return pool if len(pool) else torch.arange(wide.numel(), device=wide.device)


def linear_light(views: Views) -> float:
    """How far pixels are means of light, as a camera's are, not of stored values: 0 to 1.

    A camera's pixel averages light; what is made smaller afterwards averages stored (sRGB) values.
    At a dark outline before white the two differ by a fifth of a pixel, a millimetre on a head of
    64 pixels. With coverage m (the mask), background b and the head's colour h beside it, an
    outline's pixel should be

        a = m h + (1 - m) b,  or  l = srgb(m linear(h) + (1 - m) linear(b))

    and the share s of  pixel = a + s (l - a)  is found by least squares, beside an offset of the
    masks, (b - h). Where masks are off, hard-edged or missing, or another background is behind the
    head, the outline says nothing of light, and s is 0.

    Args:
        views: colours; views without a released mask are passed over.
    """
    if not views.masked.any():
        return 0.0
    images = views.values[views.masked].movedim(-1, 1).cpu()
    masks = views.masks[views.masked][:, None].cpu()
    full = (masks > 0.999).to(images.dtype)
    around = F.avg_pool2d(full, 3, 1, 1)  # share of full pixels beside this one
    edge = ((masks > 0.1) & (masks < 0.9) & (around > 0.2)).expand_as(images)
    if edge.sum() < FEW_EDGES:
        return 0.0
    head = (F.avg_pool2d(images * full, 3, 1, 1) / around.clamp_min(1e-6))[edge].double()
    back = views.background.cpu()[:, None, None].expand_as(images)[edge].double()
    cover, seen = masks.expand_as(images)[edge].double(), images[edge].double()
    stored = cover * head + (1 - cover) * back
    light = to_srgb(cover * to_linear(head) + (1 - cover) * to_linear(back))
    sides, rest = torch.stack([light - stored, back - head], 1), (seen - stored)[:, None]
    fit = torch.linalg.lstsq(sides, rest).solution
    share, offset = fit[:, 0].tolist()
    unexplained = (rest - sides @ fit).abs().mean()
    if abs(offset) > TRUSTED_OFFSET or unexplained > 0.5 * (light - stored).abs().mean():
        return 0.0
    return round(min(max(share, 0.0), 1.0), 3)


def draw_pixels(pool: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` flat pixel indices (view * H * W + y * W + x), drawn evenly from `pool`."""
    drawn = torch.randint(len(pool), (count,), generator=generator, device=pool.device)
    return pool[drawn]


def rays_at(views: Views, flat: Tensor, side: int = 1) -> Rays:
    """Rays through flat pixel indices (N,), side x side a pixel: (N side^2) rays, pixel by pixel.

    The rays of all pixels are made once, where they are few enough to keep (28 bytes each).
    """
    pixels, each = views.masks.numel(), side * side
    if pixels * each > RAYS_KEPT:
        return rays_through(views.cameras, flat, side)
    if side not in views.kept:
        everywhere = torch.arange(pixels, device=views.masks.device)
        views.kept[side] = rays_through(views.cameras, everywhere, side)
    rows = flat[:, None] * each + torch.arange(each, device=flat.device)
    return views.kept[side][rows.reshape(-1)]


def rays_through(cameras: Cameras, flat: Tensor, side: int = 1) -> Rays:
    """Rays through flat pixel indices (N,), which are view * H * W + y * W + x; see `rays_at`."""
    width, pixels = cameras.width, cameras.height * cameras.width
    view, within = flat.div(pixels, rounding_mode="floor"), flat % pixels
    xy = torch.stack([within % width, within.div(width, rounding_mode="floor")], -1)
    along = parts_of_pixel(side).to(xy.device)
    parts = xy[:, None] + torch.cartesian_prod(along, along)
    rays = camera_rays(cameras, view.repeat_interleave(side * side), parts.reshape(-1, 2))
    return replace(rays, pixel=rays.pixel / side)


def patch_weights(signal: Tensor, patch: int) -> Tensor:
    """How often each patch position is drawn: by the signal that the patch holds.

    Args:
        signal: (V, H, W), modulus or a like measure of what there is to see.
        patch: side in pixels.

    Returns:
        (V, H - patch + 1, W - patch + 1), non-negative; a twentieth of the mean is given to all.

    Raises:
        ValueError: the patch is larger than the picture.
    """
    if patch > signal.shape[-1]:
        raise ValueError(f"a patch of {patch} pixels is larger than the picture")
    inner = F.avg_pool2d(signal[:, None], patch, 1)[:, 0]
    # summed in double: the float sum depends on how many threads share it
    return inner + 0.05 * inner.mean(dtype=torch.float64).clamp_min(1e-6).float()


def draw_patches(
    views: Views, weights: Tensor, count: int, patch: int, generator: torch.Generator
) -> Tensor:
    """Flat pixel indices (count, patch, patch) of patches drawn by `weights`."""
    places, size = weights.shape[-1], views.size
    corner = torch.multinomial(weights.reshape(-1), count, replacement=True, generator=generator)
    view = corner.div(places * places, rounding_mode="floor")
    within = corner % (places * places)
    start = view * size * size + within.div(places, rounding_mode="floor") * size + within % places
    steps = torch.arange(patch, device=start.device)
    return start[:, None, None] + steps[:, None] * size + steps
