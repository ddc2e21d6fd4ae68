"""What is measured: the cases of each op.

Sizes are those of a training step, and on a GPU larger ones; `quick` ones show that all runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from privhead_nb.bench.case import Case, forms
from privhead_nb.kernels.compositing import composite_sdf, sdf_weights
from privhead_nb.kernels.dispatch import Backend
from privhead_nb.kernels.gradient_loss import gradient_loss, gradient_modulus
from privhead_nb.kernels.grid_encoding import GridLayout, encode_grid
from privhead_nb.kernels.sdf_head import sdf_head
from privhead_nb.kernels.surface_march import blocks_of, march
from privhead_nb.privacy.operators import Operator
from privhead_nb.render.sampling import ErrorBound, error_bounded_samples


def sphere_rays(device: torch.device, count: int, spread: float) -> tuple[Tensor, Tensor]:
    """Rays from distance 3 into the cube of half-width `spread`: origins, directions, (N, 3)."""
    generator = torch.Generator().manual_seed(count)
    origins = 3 * F.normalize(torch.randn(count, 3, generator=generator), dim=1)
    aim = (torch.rand(count, 3, generator=generator) * 2 - 1) * spread
    return origins.to(device), F.normalize(aim - origins, dim=1).to(device)


def compositing(device: torch.device, quick: bool, own: Backend) -> Iterator[Case]:
    """Rays through a bumpy wall; gradients to distances, values and beta, as in training."""
    channels, cuda = 3, device.type == "cuda"
    weights = [(16, 8)] if quick else [(4096, 8)] if cuda else [(1024, 8)]
    whole = [(16, 8)] if quick else [(1024, 8), (1024, 98), (8192, 98)]
    if cuda and not quick:
        whole = [(1024, 98), (4096, 98), (16384, 128), (65536, 128)]
    for rays, samples in weights:
        sdf, deltas, _, _, beta = wall_rays(rays, samples, channels, device)
        yield Case(
            op="compositing",
            size=f"{rays} x {samples}, weights",
            inputs=(sdf, deltas, beta),
            functions=forms(sdf_weights, own),
            bytes_forward=rays * samples * 12,
            bytes_backward=rays * samples * 16,
            flops=rays * samples * 30,
        )
    for rays, samples in whole:
        yield Case(
            op="compositing",
            size=f"{rays} x {samples}",
            inputs=wall_rays(rays, samples, channels, device),
            functions=forms(composite_sdf, own),
            # f, delta, t and values in, weights out; back, theirs in too, and two gradients out
            bytes_forward=rays * (samples * (16 + 4 * channels) + 4 * channels + 8),
            bytes_backward=rays * (samples * (20 + 8 * channels) + 4 * channels + 8),
            flops=rays * samples * (34 + 2 * channels),
        )


def wall_rays(rays: int, samples: int, channels: int, device: torch.device) -> tuple[Tensor, ...]:
    """sdf, deltas, t, values, beta of sorted samples over 2 units of way.

    The wall stands at 1.2, and a fifth of the rays miss.
    """
    generator = torch.Generator().manual_seed(rays)
    t = (2 * torch.rand(rays, samples, generator=generator)).sort(1).values
    deltas = torch.diff(t, dim=1, append=torch.full((rays, 1), 2.0))
    sdf = 1.2 - t + 0.05 * torch.randn(rays, samples, generator=generator)
    sdf[::5] = sdf[::5].abs() + 0.3
    values = torch.rand(rays, samples, channels, generator=generator)
    sdf, values, beta = sdf.to(device), values.to(device), torch.tensor(0.03, device=device)
    for leaf in (sdf, values, beta):
        leaf.requires_grad_()
    return sdf, deltas.to(device), t.to(device), values, beta


def error_bounded(device: torch.device, quick: bool, own: Backend) -> Iterator[Case]:
    """VolSDF's sampler on two balls, a field that costs next to nothing; half of the rays miss.

    `torch.compile` is left out: the reference works on the rays that are left, whose number it does
    not know before, and would be compiled anew for every round. A CPU has no form of its own.
    """
    settings = ErrorBound(8, 8, 8, 4, rounds=3) if quick else ErrorBound()

    def call(origins: Tensor, directions: Tensor, backend: Backend) -> Tensor:
        generator = torch.Generator(origins.device).manual_seed(7)
        return error_bounded_samples(
            two_balls, origins, directions, 0.01, settings, generator, backend=backend
        )

    # Of a ray that never converges, at 8 bytes a sample: a round reads what it holds and what was
    # added, writes both merged, and the next samples (their places too, 4 bytes); the end reads all
    # and writes the final ones. Numbers drawn are read once.
    held = [settings.first + number * settings.more for number in range(settings.rounds)]
    moved = 8 * settings.first + sum(16 * size for size in held[1:]) + 8 * held[-1]
    moved += (settings.rounds - 1) * settings.more * 12 + 4 * settings.numbers
    moved += 4 * (settings.final + settings.extra + 2)
    for count in (8,) if quick else (1024, 8192) if device.type == "cuda" else (256, 1024):
        yield Case(
            op="error_bounded",
            size=f"{count} rays",
            inputs=sphere_rays(device, count, 0.55),
            functions=forms(call, own if own == "triton" else None),
            bytes_forward=count * moved,
            compile=False,
        )


def two_balls(points: Tensor) -> Tensor:
    """Signed distance to a large and a small ball; (M, 3) -> (M,)."""
    x, y, z = points.unbind(-1)
    beside = y.square() + z.square()
    large = ((x - 0.25).square() + beside).sqrt() - 0.4
    small = ((x + 0.45).square() + beside).sqrt() - 0.2
    return torch.minimum(large, small)


def gradient_losses(device: torch.device, quick: bool, own: Backend) -> Iterator[Case]:
    """A step's patches, then whole pictures of three channels, by 3 x 3 Sobel kernels."""
    patches, full = (10, 3, 10, 10), (1, 3, 1080, 1920)
    kx, ky = (kernel.to(device) for kernel in Operator().kernels())
    cuda = device.type == "cuda"

    def pictures(size: tuple[int, ...], seed: int = 0) -> Tensor:
        return torch.rand(size, generator=torch.Generator().manual_seed(seed)).to(device)

    def loss(rendered: Tensor, target: Tensor, backend: Backend) -> Tensor:
        return gradient_loss(rendered, target, kx, ky, backend=backend)

    def modulus(images: Tensor, backend: Backend) -> Tensor:
        return gradient_modulus(images, kx, ky, backend=backend)

    sizes = [patches] if quick else [patches, (1, 3, 256, 256)]
    if cuda and not quick:
        sizes = [patches, (100, 3, 10, 10), (8, 3, 512, 512), full, (4, 3, 2160, 3840)]
    for size in sizes:
        rendered = pictures(size).requires_grad_()
        target = pictures((size[0], size[2] - 2, size[3] - 2), seed=1)
        read = 4 * (rendered.numel() + target.numel())
        yield Case(
            op="gradient_loss",
            size=f"loss {' x '.join(map(str, size))}",
            inputs=(rendered, target),
            functions=forms(loss, own),
            bytes_forward=read,
            bytes_backward=read + 4 * rendered.numel(),
            flops=rendered.numel() * 36,
        )
    for size in [patches] if quick else [patches, full]:
        images = pictures(size).requires_grad_(quick or cuda)
        moduli = size[0] * (size[2] - 2) * (size[3] - 2)
        yield Case(
            op="gradient_loss",
            size=f"modulus {' x '.join(map(str, size))}",
            inputs=(images,),
            functions=forms(modulus, own),
            bytes_forward=4 * (images.numel() + moduli),
            bytes_backward=4 * (2 * images.numel() + moduli) if images.requires_grad else 0,
            flops=images.numel() * 36,
            peers=modulus_peers(images.detach()) if size[0] == 1 else {},
        )


def modulus_peers(images: Tensor) -> dict[str, Callable[[], Any]]:
    """The Sobel modulus of one picture (1, C, H, W) by OpenCV and kornia, where they are installed.

    Both border the picture; what they return is cut to the inner (H - 2, W - 2). OpenCV runs on
    the CPU, on planes and with as many threads as torch. Of its ways this was the fastest: the
    others are one Sobel of the interleaved picture and `filter2D`.
    """
    found: dict[str, Callable[[], Any]] = {}
    try:
        import kornia

        def by_kornia() -> Tensor:
            g = kornia.filters.spatial_gradient(images, "sobel", 1)[..., 1:-1, 1:-1]
            return torch.linalg.vector_norm(g, dim=1).sum(dim=1)

        found["kornia"] = by_kornia
    except ImportError:
        pass
    if images.device.type != "cpu":
        return found
    try:
        import cv2

        planes = [np.ascontiguousarray(plane) for plane in images[0].numpy()]

        def by_opencv() -> Any:
            cv2.setNumThreads(torch.get_num_threads())
            norms: list[Any] = []
            for d in ((1, 0), (0, 1)):
                squares = np.zeros_like(planes[0])
                for plane in planes:
                    cv2.accumulateSquare(cv2.Sobel(plane, cv2.CV_32F, *d, scale=1 / 8), squares)
                norms.append(cv2.sqrt(squares, squares))
            return cv2.add(norms[0], norms[1])[1:-1, 1:-1]

        found["opencv"] = by_opencv
    except ImportError:
        pass
    return found


# Of this project, and Instant-NGP's: 16 levels from 16 to 512, two channels, 2^19 entries at most.
DENSE = GridLayout((12, 24, 48, 80), channels=4)
SPLINES = GridLayout((12, 24, 48, 80), channels=4, degree=2)
HASHED = GridLayout(
    tuple(round(16 * 32 ** (k / 15)) for k in range(16)), channels=2, max_entries=2**19
)


def grid_encoding(device: torch.device, quick: bool, own: Backend) -> Iterator[Case]:
    """Points of a ball: features with their Jacobian, then features alone beside grid_sample.

    A backward through the Jacobian is the second order of the features: what an eikonal loss needs.
    """
    layouts, counts = {"dense 4 x 4": DENSE, "dense 4 x 4, splines": SPLINES}, [12000]
    if quick:
        layouts, counts = {"tiny": GridLayout((4, 7), channels=2)}, [33]
    elif device.type == "cuda":
        layouts, counts = layouts | {"hashed 16 x 2": HASHED}, [8192, 65536, 524288]
    for name, layout, count, jacobian in (
        (name, layout, count, jacobian)
        for name, layout in layouts.items()
        for count in counts
        for jacobian in (True, False)
    ):

        def call(
            points: Tensor, table: Tensor, backend: Backend, layout: GridLayout = layout,
            jacobian: bool = jacobian,
        ) -> Any:  # fmt: skip
            found = encode_grid(points, table, layout, jacobian=jacobian, backend=backend)
            return found if jacobian else found[0]

        functions = forms(call, own)
        if not jacobian and not any(layout.hashed) and layout.degree == 1:
            functions["grid_sample"] = lambda p, t, layout=layout: grid_sample(p, t, layout)
        generator = torch.Generator().manual_seed(count)
        points = F.normalize(torch.randn(count, 3, generator=generator), dim=1)
        points = 0.98 * points * torch.rand(count, 1, generator=generator) ** (1 / 3)
        table = torch.randn(layout.entries, layout.channels, generator=generator)
        # points, outputs, and the entries that their corners can touch; back, the whole table's
        # gradient, which is dense
        through = 12 * count + 4 * (4 if jacobian else 1) * layout.features * count
        corners = (layout.degree + 1) ** 3
        touched = sum(min(size, corners * count) for size in layout.sizes)
        yield Case(
            op="grid_encoding",
            size=f"{count}, {name}" + ("" if jacobian else ", features alone"),
            inputs=(points.to(device), table.to(device).requires_grad_()),
            functions=functions,
            bytes_forward=through + 4 * touched * layout.channels,
            bytes_backward=through + 4 * layout.entries * layout.channels,
            flops=count * layout.features * (50 if jacobian else 25) * corners // 8,
            # the compiler takes minutes over 16 levels x 8 corners, or 4 x 27
            compile=len(layout.resolutions) * corners <= 32,
        )


def grid_sample(points: Tensor, table: Tensor, layout: GridLayout) -> Tensor:
    """Features of dense levels by `torch.nn.functional.grid_sample`, the way most code does it."""
    features, first = [], 0
    for res, size in zip(layout.resolutions, layout.sizes, strict=True):
        volume = table[first : first + size].reshape(1, res, res, res, -1).permute(0, 4, 1, 2, 3)
        features.append(sample_volume(volume, points))
        first += size
    return torch.cat(features, -1)


def sample_volume(volume: Tensor, points: Tensor) -> Tensor:
    """(1, C, R, R, R) at points (N, 3) of [-1, 1]^3, whose last axis is the volume's: (N, C)."""
    where = points.flip(-1)[None, None, None]  # grid_sample names the fastest axis first
    found = F.grid_sample(volume, where, padding_mode="border", align_corners=True)
    return found[0, :, 0, 0].T


def small_heads(device: torch.device, quick: bool, own: Backend) -> Iterator[Case]:
    """A head of 64 hidden units behind a grid's code; all but the points get gradients.

    Only the distance is asked for by the four samples of a difference gradient: one output.
    """
    hidden, cuda = 64, device.type == "cuda"
    codes = 32 if cuda else 16
    for count in (65,) if quick else (8192, 65536, 1048576) if cuda else (12000,):
        for outputs in (16,) if cuda else (16, 1):
            generator = torch.Generator().manual_seed(count + outputs)

            def normal(
                *shape: int, scale: float = 1.0, generator: torch.Generator = generator
            ) -> Tensor:
                return (torch.randn(*shape, generator=generator) * scale).to(device)

            yield Case(
                op="sdf_head",
                size=f"{count} x {codes}, {outputs} out",
                inputs=(
                    normal(count, 3, scale=0.4),
                    normal(count, codes).requires_grad_(),
                    normal(hidden, 3 + codes, scale=(3 + codes) ** -0.5).requires_grad_(),
                    normal(hidden).requires_grad_(),
                    normal(outputs, hidden, scale=hidden**-0.5).requires_grad_(),
                    normal(outputs).requires_grad_(),
                ),
                functions=forms(sdf_head, own),
                bytes_forward=4 * count * (3 + codes + outputs),
                bytes_backward=4 * count * (3 + codes + outputs + codes),
                flops=2 * count * hidden * (3 + codes + outputs),
            )


def surface_march(device: torch.device, quick: bool, own: Backend) -> Iterator[Case]:
    """A bumpy ball in a 64^3 lattice; about a third of the rays miss. Asked as training asks: what
    is farther than a reach from the surface may be passed over, so it is not compared."""
    res, steps, reach = 64, 64, 0.05
    axis = torch.linspace(-1, 1, res, device=device)
    lattice = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    values = lattice.norm(dim=1) - 0.6 + 0.03 * torch.sin(9 * lattice).sum(1)
    blocks = blocks_of(values, res)

    def call(origins: Tensor, directions: Tensor, backend: Backend) -> tuple[Tensor, ...]:
        found = march(
            values, res, origins, directions, steps=steps, reach=reach, blocks=blocks,
            backend=backend,
        )  # fmt: skip
        # weights that fade, so that no ray stands on an edge
        near = (1 - found.closest.abs() / reach).clamp_min(0)
        deep = (-found.closest / reach).clamp(0, 1)
        return found.t * deep, found.t_closest * near, found.closest * near

    cuda = device.type == "cuda"
    for count in (16,) if quick else (1024, 16384, 262144) if cuda else (1024, 4096):
        yield Case(
            op="surface_march",
            size=f"{count} x {steps}",
            inputs=sphere_rays(device, count, 0.8),
            functions=forms(call, own),
            bytes_forward=count * (24 + 17) + 4 * res**3,
            flops=count * steps * 40,  # of the reference, which looks at all steps
        )


CASES = {
    "compositing": compositing,
    "error_bounded": error_bounded,
    "gradient_loss": gradient_losses,
    "grid_encoding": grid_encoding,
    "sdf_head": small_heads,
    "surface_march": surface_march,
}
OPS = tuple(CASES)


def cases_of(
    op: str, device: torch.device, quick: bool = False, own: Backend | None = None
) -> Iterator[Case]:
    """The cases of one op, made one at a time.

    Args:
        op: a name out of `OPS`.
        device: where the inputs lie.
        quick: tiny sizes, to see that everything runs.
        own: the form that "fused" means; by default Triton on a GPU, else Numba.
    """
    return CASES[op](device, quick, own or ("triton" if device.type == "cuda" else "numba"))
