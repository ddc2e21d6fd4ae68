"""Whose colours are these: an attack on what a release leaks beyond shape.

A network that learns, on twins (people of one shape in many colours), what skin, lips, brows and
hair do to a protected picture. It is told the colours of other made people, as the informed parrot
is told their codes. Its vectors tell twins apart; a ridge regression reads colours off them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.studies.twins import Twins
from privhead_nb.errors import LabError
from privhead_nb.heads.codes import ALBEDO_NAMES
from privhead_nb.lab.fit import fit
from privhead_nb.lab.recognisers import head_crop
from privhead_nb.lab.recognisers.network import DIMENSIONS, FaceNetwork

Protect = Callable[[Tensor, torch.Generator], Tensor]
"""Colours (N, H, H, 3) in [0, 1] -> what is released of them, (N, h, h) or (N, h, h, C)."""
NOT_SEEN = ("texture_phase_a", "texture_phase_b")
"""Codes that say where spots lie: nothing a mirror image, or a network, can name."""


@dataclass(frozen=True)
class ReaderLearning:
    """How the network is trained."""

    steps: int = 400  # of the optimiser
    groups: int = 12  # shapes in a batch
    of_group: int = 4  # twins of each, two pictures of each twin
    rate: float = 3e-3  # highest learning rate of a one-cycle schedule
    scale: float = 12.0  # inverse temperature of the twins' softmax
    colours: float = 4.0  # weight of the share of colour that is not read
    codes: float = 8.0  # weight of the albedo codes' squared error
    hair_masked: float = 0.25  # how often hair is covered by grey
    mirrored: float = 0.5  # how often a whole group is mirrored
    seed: int = 0  # of everything random


@dataclass(frozen=True, eq=False)
class Reader:
    """The trained network, and the scale of what it looks at."""

    network: FaceNetwork
    protect: Protect
    scale: float  # root mean square of released values

    def released(self, colours: Tensor, random: torch.Generator) -> Tensor:
        """(N, H, H, 3) -> (N, C, 56, 40) as the network sees what is released of them."""
        return as_seen(self.protect(colours, random), self.scale)

    @torch.no_grad()
    def embed(self, colours: Tensor, random: torch.Generator) -> Tensor:
        """(N, H, H, 3) colours, protected here, -> (N, D)."""
        parts = [self.network(self.released(some, random)) for some in colours.split(256)]
        return torch.cat(parts)


def as_seen(released: Tensor, scale: float) -> Tensor:
    """(N, h, h) or (N, h, h, C) released values -> (N, C, 56, 40) in units of `scale`."""
    return head_crop((released[..., None] if released.dim() == 3 else released) / scale)


def learn_reader(
    others: Twins,
    protect: Protect,
    targets: Tensor,
    learning: ReaderLearning | None = None,
    *,
    start: FaceNetwork | None = None,
    progress: bool = False,
) -> Reader:
    """Train a reader on twins of other shapes in other colours.

    Three losses: of a batch's twins of one shape, the two pictures of each belong together; linear
    maps of the vectors give the colours and the albedo codes.

    Args:
        others: the attacker's twins, two pictures or more of each, as many twins of every shape.
        protect: what the release was made with; drawn anew in every step.
        targets: (N, K) colours of the twin on each picture, as `ColourSpace.coordinates` has them.
        start: a network to go on from, such as one that learned another operator.
        learning, progress: of the training.

    Raises:
        LabError: fewer than two shapes, or than two pictures of a twin.
    """
    chosen = ReaderLearning() if learning is None else learning
    torch.manual_seed(chosen.seed)
    random = torch.Generator().manual_seed(chosen.seed)
    table = _table(others)  # (shapes, twins, pictures) rows
    sample = others.rgb()[:: max(1, len(others) // 256)]
    first = protect(sample, random)
    scale = float(first.float().square().mean().sqrt().clamp_min(1e-6))
    channels = 1 if first.dim() == 3 else first.shape[-1]
    network = FaceNetwork(channels)
    if start is not None:
        nn.Module.load_state_dict(network, start.state_dict())
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    told = nn.Linear(DIMENSIONS, targets.shape[1] + len(ALBEDO_NAMES))
    spread = targets.square().sum(1).mean()
    read = torch.tensor([name not in NOT_SEEN for name in ALBEDO_NAMES]).float()
    adam = torch.optim.AdamW(
        [*network.parameters(), *told.parameters()], lr=chosen.rate, weight_decay=5e-2
    )
    network.train()

    def loss(_: int) -> Tensor:
        rows, flipped = _draw(table, chosen, random)
        pictures = changed(others, rows, flipped, chosen.hair_masked, random)
        found = network(as_seen(protect(pictures, random), scale))
        off = same_twin(found, chosen)
        said = told(found)
        colours, codes = said[:, : targets.shape[1]], said[:, targets.shape[1] :]
        missed = (colours * spread.sqrt() - targets[rows]).square().sum(1).mean() / spread
        wrong = ((codes - others.albedo[rows]).square() * read).mean()
        return off + chosen.colours * missed + chosen.codes * wrong

    if chosen.steps:
        fit(adam, loss, chosen.steps, desc="reader", progress=progress)
    return Reader(network.eval(), protect, scale)


def _table(others: Twins) -> Tensor:
    """(shapes, twins, pictures) rows of the data."""
    twins = [
        [(others.identity == who).nonzero()[:, 0] for who in others.identity[rows].unique()]
        for rows in ((others.shape == s).nonzero()[:, 0] for s in others.shape.unique())
    ]
    sizes = {(len(group), len(rows)) for group in twins for rows in group}
    if len(twins) < 2 or len(sizes) > 1 or min(min(s) for s in sizes) < 2:
        raise LabError(
            f"twins of {len(twins)} shapes, (twins, pictures) are {sorted(sizes)[:4]}",
            where="colour reader",
            remedy="Give two shapes or more, each with as many twins and two pictures of each.",
        )
    return torch.stack([torch.stack(group) for group in twins])


def _draw(table: Tensor, chosen: ReaderLearning, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows of a batch, two pictures of a twin one after the other, and which are mirrored."""
    groups = torch.randperm(len(table), generator=random)[: chosen.groups]
    rows = []
    for group in groups:
        for twin in torch.randperm(table.shape[1], generator=random)[: chosen.of_group]:
            two = torch.randperm(table.shape[2], generator=random)[:2]
            rows.append(table[group, twin, two])
    flipped = torch.rand(len(groups), generator=random) < chosen.mirrored
    return torch.cat(rows), flipped.repeat_interleave(2 * chosen.of_group)


def changed(
    others: Twins, rows: Tensor, flipped: Tensor, hair_masked: float, random: torch.Generator
) -> Tensor:
    """Pictures (N, H, H, 3) `rows`, moved by up to three pixels, brighter or darker."""
    masked = (torch.rand(len(rows) // 2, generator=random) < hair_masked).repeat_interleave(2)
    x = others.pictures[rows, masked.long()].float().div(255)
    x = torch.where(flipped[:, None, None, None], x.flip(2), x)
    side = x.shape[1]
    shift = torch.randint(-3, 4, (len(rows), 2), generator=random)
    down, across = ((torch.arange(side) - shift[:, k, None]) % side for k in (0, 1))
    x = x[torch.arange(len(rows))[:, None, None], down[:, :, None], across[:, None, :]]
    gain = 1 + 0.2 * (torch.rand(len(rows), 1, 1, 1, generator=random) - 0.5)
    return (1 - gain * (1 - x)).clamp(0, 1)  # the white behind stays white


def same_twin(found: Tensor, chosen: ReaderLearning) -> Tensor:
    """Softmax loss of vectors (G T 2, D): whose other picture it is, among twins of one shape."""
    x = found.reshape(-1, chosen.of_group, 2, found.shape[1])
    x = F.normalize(x - x.mean((1, 2), keepdim=True), dim=-1)
    cosine = chosen.scale * torch.einsum("gid,gjd->gij", x[:, :, 0], x[:, :, 1])
    own = torch.arange(chosen.of_group).expand(len(x), -1)
    both = F.cross_entropy(cosine.transpose(1, 2), own) + F.cross_entropy(cosine, own)
    return both / 2


@dataclass(frozen=True, eq=False)
class Ridge:
    """A linear map that forgives noise: (N, F) -> (N, K)."""

    mean: Tensor  # (F,)
    matrix: Tensor  # (F, K)
    offset: Tensor  # (K,)

    def __call__(self, features: Tensor) -> Tensor:
        """(N, F) -> (N, K)."""
        return (features - self.mean) @ self.matrix + self.offset


def learn_ridge(features: Tensor, targets: Tensor, groups: Sequence[int] | Tensor) -> Ridge:
    """Ridge regression whose strength is chosen by leaving groups out, five folds.

    Args:
        features, targets: (N, F) and (N, K).
        groups: (N,) whose rows must not be split between folds.
    """
    fold = torch.unique(torch.as_tensor(groups), return_inverse=True)[1] % 5
    strengths = [float(10.0**k) for k in range(-4, 4)]
    off = torch.zeros(len(strengths))
    for k in range(5):
        learn, test = fold != k, fold == k
        if not bool(test.any()) or not bool(learn.any()):
            continue
        for j, strength in enumerate(strengths):
            fitted = _ridge(features[learn], targets[learn], strength)
            off[j] += (fitted(features[test]) - targets[test]).square().sum()
    return _ridge(features, targets, strengths[int(off.argmin())])


def _ridge(features: Tensor, targets: Tensor, strength: float) -> Ridge:
    mean, offset = features.mean(0), targets.mean(0)
    x, y = (features - mean).double(), (targets - offset).double()
    square = x.T @ x
    square += strength * square.diagonal().mean() * torch.eye(len(square), dtype=torch.float64)
    return Ridge(mean, torch.linalg.solve(square, x.T @ y).float(), offset)
