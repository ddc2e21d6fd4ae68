"""How alike two pictures look, measured offline, and whether protection makes people look alike.

The paper measures LPIPS between identities before and after protection (arXiv, appendix, Table 4).
LPIPS stands on a network trained on photographs, which is a download, so it can't run here. Two
measures of our own take its place, under their own names:

- *feature distance*: LPIPS's form (Zhang et al. 2018, eq. 1, all weights 1) on the layers of a
  recogniser of this package. At every place of a layer the features become a unit vector; squared
  differences are summed over channels, averaged over places, and added over layers. The trunk is
  `triplet_cnn`, which was trained on pictures of made heads and nothing else.
- *structural distance*: 1 minus the structural similarity of scikit-image, averaged over three
  sizes of the picture. It has no training at all.

A distance between two people means nothing by itself: a protected picture is darker and flatter, so
all distances shrink. What counts is how much farther different people are than pictures of the same
person. `Alike.ratio` is that; 1 would be perceptual indistinction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.lab.comparison import Comparison
from privhead_nb.lab.intervals import TAILS, Rate, draws, share
from privhead_nb.lab.protocol import verification
from privhead_nb.lab.recognisers import head_crop
from privhead_nb.lab.recognisers.network import FaceNetwork
from privhead_nb.lab.recognisers.stored import network_in
from privhead_nb.resources import WEIGHTS

Floats = NDArray[np.float64]
SCALES = (1, 2, 4)  # pictures are averaged over squares of so many pixels
WINDOW = 7  # pixels, of the structural similarity


@dataclass(frozen=True)
class Alike:
    """Distances of pictures of the same person and of two people.

    Attributes:
        same, different: mean distances.
        ratio: different / same, with `low` and `high`, its 95 % interval over identities.
        told: how often a pair of one person is nearer than a pair of two (0.5: no way to tell).
        people, pairs: behind it.
    """

    same: float
    different: float
    ratio: float
    low: float
    high: float
    told: Rate
    people: int
    pairs: int


def trunk(name: str) -> FaceNetwork:
    """The network of a shipped recogniser, arcface_cnn or triplet_cnn, whose layers measure."""
    return network_in(WEIGHTS / f"{name}.safetensors", "Use arcface_cnn or triplet_cnn.")


@torch.no_grad()
def layer_features(pictures: Tensor, network: FaceNetwork) -> Tensor:
    """(N, F) of pictures (N, H, H, 3): squared distances of rows are feature distances."""
    rows = []
    for part in pictures.split(128):
        x = F.relu(network.norm(network.stem(head_crop(part))))
        y = network.block_one(F.relu(network.norm_one(network.down_one(x))))
        z = network.block_two(F.relu(network.norm_two(network.down_two(y))))
        layers = [F.normalize(f, dim=1) / f[0, 0].numel() ** 0.5 for f in (x, y, z)]
        rows.append(torch.cat([f.flatten(1) for f in layers], 1))
    return torch.cat(rows)


def feature_distances(a: Tensor, b: Tensor, network: FaceNetwork) -> Floats:
    """(N, M) feature distances of pictures a (N, H, H, 3) and b (M, H, H, 3); from 0 to 6."""
    one, two = layer_features(a, network), layer_features(b, network)
    found = torch.cdist(one, two).square()
    return found.numpy().astype(np.float64)


def structural_distance(a: Tensor, b: Tensor) -> float:
    """1 - structural similarity of two pictures (H, W, 3) in [0, 1], averaged over SCALES."""
    from skimage.metrics import structural_similarity

    found = []
    for scale in SCALES:
        x, y = (F.avg_pool2d(picture.movedim(-1, 0)[None], scale)[0].numpy() for picture in (a, b))
        found.append(structural_similarity(x, y, win_size=WINDOW, channel_axis=0, data_range=1.0))
    return 1.0 - float(np.mean(found))


def structural_distances(a: Tensor, b: Tensor, wanted: NDArray[np.bool_]) -> Floats:
    """(N, M) structural distances of the `wanted` pairs (N, M) of cropped heads; NaN elsewhere."""
    one, two = (head_crop(x).movedim(1, -1) for x in (a, b))
    found = np.full(wanted.shape, np.nan)
    for i, j in np.argwhere(wanted):
        found[i, j] = structural_distance(one[i], two[j])
    return found


def stretched(pictures: Tensor) -> Tensor:
    """Pictures (N, H, W, 3) with mean 0.5 and spread 0.2 each, so that none is dark or flat."""
    mean = pictures.mean((1, 2, 3), keepdim=True)
    spread = pictures.std((1, 2, 3), keepdim=True).clamp_min(1e-4)
    return (0.5 + 0.2 * (pictures - mean) / spread).clamp(0, 1)


def alike(
    distances: Floats,
    probe: NDArray[np.int64],
    gallery: NDArray[np.int64],
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> Alike:
    """Same-person and two-person distances, and their ratio with an interval.

    Args:
        distances: (P, G); NaN where a pair was not measured.
        probe, gallery: (P,) and (G,) identities; no picture stands on both sides.
        resamples, seed: of identities, drawn with all their pictures on both sides.

    Raises:
        LabError: no pair of one person, or none of two.
    """
    people = np.unique(np.concatenate([probe, gallery]))
    i, j = np.searchsorted(people, probe), np.searchsorted(people, gallery)
    n, known = len(people), ~np.isnan(distances)
    cell = (i[:, None] * n + j)[known]
    total = np.bincount(cell, distances[known], minlength=n * n).reshape(n, n).astype(float)
    count = np.bincount(cell, minlength=n * n).reshape(n, n).astype(float)
    if np.trace(count) == 0 or count.sum() == np.trace(count):
        raise LabError(
            "there are no pairs of one person, or none of two",
            where="perceptual distance",
            remedy="Give at least two people with two pictures each.",
        )
    again = draws(n, resamples, seed).astype(float)
    one, two = _means(np.ones((1, n)), total, count)
    ones, twos = _means(again, total, count)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = twos / ones
    low, high = np.nanquantile(ratios[np.isfinite(ratios)], TAILS)
    return Alike(
        same=float(one[0]),
        different=float(two[0]),
        ratio=float(two[0] / one[0]),
        low=float(low),
        high=float(high),
        told=_told(distances, probe, gallery, known, resamples, seed),
        people=n,
        pairs=int(known.sum()),
    )


def between_people(
    shown: Mapping[str, tuple[Tensor, Tensor]],
    probe: NDArray[np.int64],
    gallery: NDArray[np.int64],
    networks: Mapping[str, FaceNetwork],
) -> dict[str, dict[str, Alike]]:
    """Measure -> kind of picture -> how alike people are in it.

    Args:
        shown: kind -> probes (P, H, H, 3) and gallery pictures (G, H, H, 3).
        probe, gallery: (P,) and (G,) identities.
        networks: whose layers measure, besides structure.
    """
    random = np.random.default_rng(0)
    wanted = probe[:, None] == gallery
    for row in wanted:  # all of one person, and four others for each picture
        others = np.flatnonzero(~row)
        row[random.choice(others, min(4, len(gallery) - 1), replace=False)] = True
    found: dict[str, dict[str, Alike]] = {"structural": {}}
    for kind, (a, b) in shown.items():
        distances = structural_distances(a, b, wanted)
        found["structural"][kind] = alike(distances, probe, gallery)
        for name, network in networks.items():
            part = found.setdefault(f"features of {name}", {})
            part[kind] = alike(feature_distances(a, b, network), probe, gallery)
    return found


def _means(weights: Floats, total: Floats, count: Floats) -> tuple[Floats, Floats]:
    """(B,) mean distance of one person's pairs and of two people's, under weights (B, n)."""
    own, pairs = np.diag(total), np.diag(count)
    rest, others = total - np.diag(own), count - np.diag(pairs)
    with np.errstate(invalid="ignore", divide="ignore"):
        same = (weights @ own) / (weights @ pairs)
        different = np.einsum("bi,ij,bj->b", weights, rest, weights) / np.einsum(
            "bi,ij,bj->b", weights, others, weights
        )
    return same, different


def _told(
    distances: Floats,
    probe: NDArray[np.int64],
    gallery: NDArray[np.int64],
    known: NDArray[np.bool_],
    resamples: int,
    seed: int,
) -> Rate:
    """AUC of nearness as a sign of the same person; over all pairs if all are known."""
    if known.all():
        return verification(
            Comparison(-distances, probe, gallery), fars=(0.5,), resamples=resamples, seed=seed
        ).auc
    # only some pairs were measured: those of a probe are compared with one another
    mated = probe[:, None] == gallery
    own = np.where(mated & known, distances, np.nan)
    wins = np.full(len(probe), np.nan)
    for row in range(len(probe)):
        a, b = own[row][~np.isnan(own[row])], distances[row][known[row] & ~mated[row]]
        if len(a) and len(b):
            wins[row] = np.mean((a[:, None] < b) + 0.5 * (a[:, None] == b))
    kept = ~np.isnan(wins)
    return share(wins[kept], probe[kept], resamples=resamples, seed=seed)
