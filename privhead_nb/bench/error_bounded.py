"""Cases of `kernels.error_bounded`: VolSDF's sampler on a field that costs next to nothing.

The peer goes on with the whole batch until its last ray has converged, as the paper's algorithm 1
is usually run: it asks the host in each round. Its samples differ, so it is not compared.
`torch.compile` is left out: the reference works on the rays that are left, whose number it does not
know before, and would be compiled anew for every round.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from privhead_nb.bench.case import Case, own_backend
from privhead_nb.kernels.compositing import laplace_density, sum_before, weights_from_density
from privhead_nb.kernels.dispatch import Backend
from privhead_nb.kernels.error_bounded import ErrorBound, error_bounded_samples
from privhead_nb.kernels.surface_march import sphere_interval

BETA, SEED = 0.01, 7


def cases(device: torch.device, quick: bool = False) -> Iterator[Case]:
    """Two balls, seen by rays of which about half miss."""
    settings = ErrorBound(8, 8, 8, 4, rounds=3) if quick else ErrorBound()
    own = own_backend(device)
    counts = (8,) if quick else (1024, 8192) if device.type == "cuda" else (256, 1024)
    for count in counts:
        origins, directions = (x.to(device) for x in _rays(count))
        yield Case(
            op="error_bounded",
            size=f"{len(origins)} rays",
            inputs=(origins, directions),
            functions={"eager": _run("torch", settings), "fused": _run(own, settings)},
            bytes_forward=len(origins) * _bytes(settings),
            compile=False,
            peers={"whole batch": _peer(origins, directions, settings)},
        )


def two_balls(points: Tensor) -> Tensor:
    """Signed distance to a large and a small ball; (M, 3) -> (M,)."""
    x, y, z = points.unbind(-1)
    beside = y.square() + z.square()
    large = ((x - 0.25).square() + beside).sqrt() - 0.4
    small = ((x + 0.45).square() + beside).sqrt() - 0.2
    return torch.minimum(large, small)


def _rays(count: int) -> tuple[Tensor, Tensor]:
    """From around the sphere into the cube of half-width 0.55 within it: all meet the sphere."""
    generator = torch.Generator().manual_seed(count)
    origins = 3 * F.normalize(torch.randn(count, 3, generator=generator), dim=1)
    aim = torch.rand(count, 3, generator=generator) * 1.1 - 0.55
    return origins, F.normalize(aim - origins, dim=1)


def _run(backend: Backend, settings: ErrorBound) -> Callable[[Tensor, Tensor], Tensor]:
    def function(origins: Tensor, directions: Tensor) -> Tensor:
        generator = torch.Generator(origins.device).manual_seed(SEED)
        return error_bounded_samples(
            two_balls, origins, directions, BETA, settings, generator, backend=backend
        )

    return function


def _bytes(settings: ErrorBound) -> int:
    """Of a ray that never converges, between the field's answers, at 8 bytes a sample.

    A round reads what it holds and what was added, writes both merged, and the next samples (their
    places too, 4 bytes); the end reads all and writes the final ones. Numbers drawn are read once.
    """
    held = [settings.first + number * settings.more for number in range(settings.rounds)]
    merged = sum(16 * size for size in held[1:])
    new = (settings.rounds - 1) * settings.more * (8 + 4)
    out = settings.final + settings.extra + 2
    return 8 * settings.first + merged + new + 8 * held[-1] + 4 * out + 4 * settings.numbers


def _peer(origins: Tensor, directions: Tensor, settings: ErrorBound) -> Callable[[], Tensor]:
    return lambda: whole_batch_samples(origins, directions, BETA, settings)


@torch.no_grad()
def whole_batch_samples(
    origins: Tensor, directions: Tensor, beta: float, settings: ErrorBound
) -> Tensor:
    """Algorithm 1 as a batch: every ray gets every round until all of them have converged."""
    near, far, _ = sphere_interval(origins, directions)
    even = torch.linspace(0, 1, settings.first, device=near.device)
    t = near[:, None] + (far - near)[:, None] * even
    values = _field(origins, directions, t)
    squares = t.diff().square().sum(-1)
    plus = (squares / (4 * math.log1p(settings.epsilon))).sqrt().clamp_min(beta)
    for number in range(settings.rounds):
        star, deltas = _free(values, t), t.diff()
        exact = _bound(torch.full_like(plus, beta), values, deltas, star)
        low, high = torch.full_like(plus, beta), plus
        for _ in range(settings.bisections):
            middle = (low + high) / 2
            fits = _bound(middle, values, deltas, star).amax(-1) <= settings.epsilon
            low, high = torch.where(fits, low, middle), torch.where(fits, middle, high)
        converged = exact.amax(-1) <= settings.epsilon
        plus = torch.where(converged, low.new_tensor(beta), high)
        if bool(converged.all()) or number + 1 == settings.rounds:
            break
        added = _inverse(t, _bound(plus, values, deltas, star), settings.more)
        t, order = torch.cat([t, added], -1).sort(-1)
        values = torch.cat([values, _field(origins, directions, added)], -1).gather(-1, order)
    weights = weights_from_density(laplace_density(values[:, :-1], plus[:, None]), t.diff())
    drawn = _inverse(t, weights, settings.final)
    spread = torch.linspace(0, 1, settings.extra + 2, device=near.device)
    return torch.cat([drawn, near[:, None] + (far - near)[:, None] * spread], -1).sort(-1).values


def _field(origins: Tensor, directions: Tensor, t: Tensor) -> Tensor:
    points = origins[:, None] + t[..., None] * directions[:, None]
    return two_balls(points.reshape(-1, 3)).reshape(t.shape)


def _free(values: Tensor, t: Tensor) -> Tensor:
    """d*, by Heron's formula."""
    a, b, c = t.diff(), values[:, :-1].abs(), values[:, 1:].abs()
    half = (a + b + c) / 2
    height = 2 * (half * (half - a) * (half - b) * (half - c)).clamp_min(0).sqrt() / a
    height = torch.where(b + c > a, height, 0.0)
    height = torch.where(a.square() + c.square() <= b.square(), c, height)
    height = torch.where(a.square() + b.square() <= c.square(), b, height)
    return torch.where(values[:, :-1] * values[:, 1:] > 0, height, 0.0)


def _bound(beta: Tensor, values: Tensor, deltas: Tensor, star: Tensor) -> Tensor:
    beta = beta[:, None]
    through = torch.exp(-sum_before(laplace_density(values[:, :-1], beta) * deltas))
    error = (torch.exp(-star / beta) * deltas.square() / (4 * beta.square())).cumsum(-1)
    return (error.clamp(max=14).exp() - 1) * through


def _inverse(t: Tensor, pdf: Tensor, count: int) -> Tensor:
    pdf = pdf + 1e-5
    cdf = F.pad((pdf / pdf.sum(-1, keepdim=True)).cumsum(-1), (1, 0))
    u = torch.linspace(0, 1, count, device=t.device).expand(len(t), count).contiguous()
    after = torch.searchsorted(cdf, u, right=True).clamp(1, t.shape[1] - 1)
    low, high = cdf.gather(1, after - 1), cdf.gather(1, after)
    start, end = t.gather(1, after - 1), t.gather(1, after)
    return start + ((u - low) / (high - low).clamp_min(1e-9)).clamp(0, 1) * (end - start)
