"""A flat world in which a colour network can cheat: a plane, a few views, and painted lines.

A plane stands at depth D and carries colours c(x). View v looks at it at a slant, so that pixel u
shows the place x = u - v D: lines move from view to view by the depth. We are given the modulus of
the pictures' gradients, in all views, and look for D together with a network that paints the plane.

A network that is told the view can paint every line where its view wants it, at any depth. Then
the loss is content and the depth stays wrong. Sliding a line of slope s over the plane by as much
as a depth error e takes a slope s e over the views, which a bounded network may not have.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from privhead_nb.field.lipschitz import NEVER, SIGMOID_CONSTANT, SILU_CONSTANT
from privhead_nb.field.radiance import LipschitzLinear

DEPTH = 0.4  # the plane's true depth; a fit starts at 0
PIXELS, VIEWS = 64, 5
LAYERS = 3
WIDTH = 24


def colour(place: Tensor) -> Tensor:
    """The plane's true colour: light, with a dark and a fainter line; any shape."""
    dark, faint = (torch.exp(-0.5 * ((place - at) / 0.12) ** 2) for at in (0.2, -0.5))
    return 0.8 - 0.6 * dark - 0.4 * faint


def pixels() -> tuple[Tensor, Tensor]:
    """Pixel positions u and view slants v, both (VIEWS, PIXELS)."""
    views, u = torch.linspace(-1, 1, VIEWS), torch.linspace(-1.3, 1.3, PIXELS)
    v, u = torch.meshgrid(views, u, indexing="ij")
    return u, v


def modulus(pictures: Tensor) -> Tensor:
    """|d picture / d u| between neighbouring pixels, (VIEWS, PIXELS) -> (VIEWS, PIXELS - 1)."""
    return pictures.diff(dim=1).abs() * (PIXELS - 1) / 2.6


def released() -> Tensor:
    """What is known of the plane: the modulus in each view, (VIEWS, PIXELS - 1)."""
    u, v = pixels()
    return modulus(colour(u - v * DEPTH))


class Paint(nn.Module):
    """A network from place and view to a colour in (0, 1), with fixed bounds.

    Args:
        steepest: largest slope of the colour that the layers' bounds allow, all alike; None for
            layers without bounds.
        views: it is told the view.
    """

    def __init__(self, steepest: float | None, *, views: bool = True) -> None:
        super().__init__()
        self.views = views
        sizes = (2, WIDTH, WIDTH, 1)
        self.layers = nn.ModuleList(LipschitzLinear(sizes[i], sizes[i + 1]) for i in range(LAYERS))
        bound = NEVER
        if steepest is not None:
            bound = (steepest / (SILU_CONSTANT ** (LAYERS - 1) * SIGMOID_CONSTANT)) ** (1 / LAYERS)
        for layer in self.layers:
            m = torch.log(torch.expm1(torch.tensor(bound, dtype=torch.float64)))
            layer.m = nn.Parameter(m.float(), requires_grad=False)

    def forward(self, place: Tensor, view: Tensor) -> Tensor:
        """Places and views of any one shape -> colours of that shape."""
        hidden = torch.stack([place, view if self.views else torch.zeros_like(view)], -1)
        for layer in self.layers[:-1]:
            hidden = F.silu(layer(hidden))
        return torch.sigmoid(self.layers[-1](hidden))[..., 0]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fit of depth and paint.

    Attributes:
        paint: the network.
        depths, losses: after each step.
    """

    paint: Paint
    depths: list[float]
    losses: list[float]

    @property
    def depth(self) -> float:
        """Where the plane ended."""
        return self.depths[-1]

    def slopes(self) -> tuple[float, float]:
        """Largest slopes found where the network was asked: over places, and over views."""
        u, v = pixels()
        place, view = (u - v * self.depth).requires_grad_(), v.clone().requires_grad_()
        found = torch.autograd.grad(
            self.paint(place, view).sum(), (place, view), materialize_grads=True
        )
        over_places, over_views = (float(g.abs().max()) for g in found)
        return over_places, over_views

    def painted(self, count: int = 120) -> Tensor:
        """Colours over places -1 to 1 (columns) and views -1 to 1 (rows), (VIEWS * 8, count)."""
        v, x = torch.meshgrid(
            torch.linspace(-1, 1, VIEWS * 8), torch.linspace(-1, 1, count), indexing="ij"
        )
        with torch.no_grad():
            return self.paint(x, v)


def fit(steepest: float | None, *, views: bool = True, seed: int = 0, steps: int = 600) -> Fitted:
    """Look for depth and paint by the gradient loss (eq. 5), from depth 0.

    Args:
        steepest, views: as for `Paint`.
        seed: of the network's first weights.
        steps: of Adam.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        paint = Paint(steepest, views=views)
    depth = nn.Parameter(torch.zeros(()))
    trained = [p for p in paint.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(
        [{"params": trained, "lr": 1e-2}, {"params": [depth], "lr": 5e-3}], betas=(0.9, 0.99)
    )
    (u, v), target = pixels(), released()
    depths, losses = [], []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = (modulus(paint(u - v * depth, v)) - target).abs().mean()
        loss.backward()
        optimiser.step()
        depths.append(depth.item())
        losses.append(loss.item())
    return Fitted(paint, depths, losses)
