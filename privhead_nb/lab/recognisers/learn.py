"""Training of recognisers on portraits: two networks and two classical projections."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from privhead_nb.heads.codes import ALBEDO_NAMES, IDENTITY_NAMES, identity_codes
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.fit import fit
from privhead_nb.lab.framing import resized
from privhead_nb.lab.recognisers import head_crop
from privhead_nb.lab.recognisers.network import DIMENSIONS, ArcFace, FaceNetwork, batch_hard
from privhead_nb.privacy.operators import Operator

Protect = Callable[[Tensor, torch.Generator], Tensor]
"""Colours (N, 64, 64, 3) -> what is released of them (N, h, h, C), as a network sees it."""
CODES = (*IDENTITY_NAMES, *ALBEDO_NAMES)
_SIDED = torch.tensor([name.startswith("asymmetry") or name == "hair_part" for name in CODES])
OF_EACH = 4
"""Portraits of a person in a batch of triplets."""
VARIANT_SHARES = (0.5, 0.25, 0.25)
"""How often a network sees a portrait whole, with its hair masked, and in one albedo."""


@dataclass(frozen=True)
class Learning:
    """How a network is trained."""

    loss: str = "arcface"  # "arcface" or "triplet"
    epochs: int = 12  # passes over the portraits
    batch: int = 128  # portraits in a step; for triplets OF_EACH of each person
    rate: float = 2e-3  # highest learning rate of a one-cycle schedule
    margin: float = 0.3  # of ArcFace, radians, at the end; it grows from 0 over the first half
    codes: float = 4.0  # weight of the codes' squared error; 0 where people have none
    codes_first: float = 0.0  # share of the steps in which the codes are all that is learned
    seed: int = 0  # of everything random


WITH_CODES = Learning("arcface", epochs=24, rate=3e-3, margin=0.2, codes=200.0)
"""Best of those tried, where the people's codes are known."""


def train_network(
    faces: FaceDataset,
    learning: Learning | None = None,
    *,
    protect: Protect | None = None,
    start: FaceNetwork | None = None,
    progress: bool = False,
) -> FaceNetwork:
    """A network that tells the data set's people apart, and, so one hopes, others too.

    A mirrored head is another person, which doubles the people. Beside its loss the network learns
    to tell the codes of a made head, which says of two people how they differ, and not only that
    they do.

    Args:
        faces: portraits of people who will never be tested.
        learning, progress: of the training.
        protect: what pictures go through first, drawn anew in every step, so that no noise is
            seen twice: the network then learns protected pictures (a parrot).
        start: a network to go on from, say one that learned another operator; ArcFace's centres
            then begin at its people's means.
    """
    chosen = Learning() if learning is None else learning
    torch.manual_seed(chosen.seed)
    random = torch.Generator().manual_seed(chosen.seed)
    numbers, who = torch.unique(faces.identity, return_inverse=True)

    def seen(rows: Tensor, each: int = 1) -> tuple[Tensor, Tensor]:
        pictures, mirrored = disturbed(faces, rows, random, each=each)
        pictures = pictures if protect is None else protect(pictures, random)
        return head_crop(pictures), who[rows] + len(numbers) * mirrored

    network = FaceNetwork(_channels(faces, protect))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    head, tell = ArcFace(2 * len(numbers)), nn.Linear(DIMENSIONS, len(CODES))
    if start is not None:
        nn.Module.load_state_dict(network, start.state_dict())
        _centre(head, network.eval(), seen, len(faces))
    known = codes_of(numbers)
    parts = [*network.parameters(), *tell.parameters()]
    parts += [*head.parameters()] if chosen.loss == "arcface" else []
    steps = max(1, len(faces) // chosen.batch) * chosen.epochs
    adam = torch.optim.AdamW(parts, lr=chosen.rate, weight_decay=5e-2)
    network.train()

    def loss(step: int) -> Tensor:
        codes_only = step < chosen.codes_first * steps
        single = codes_only or chosen.loss == "arcface"
        rows = (
            torch.randint(len(faces), (chosen.batch,), generator=random)
            if single
            else _several_of_each(who, chosen.batch, random)
        )
        pictures, people = seen(rows, 1 if single else OF_EACH)
        found: Tensor = network(pictures)
        if codes_only:
            off = found.new_zeros(())
        elif chosen.loss == "arcface":
            head.margin = chosen.margin * min(1.0, 2 * step / steps)
            off = head(found, people)
        else:
            off = batch_hard(found, people)
        if chosen.codes > 0:
            off = off + chosen.codes * F.mse_loss(tell(found), known[people])
        return off

    fit(adam, loss, steps, desc=chosen.loss, progress=progress)
    return network.eval()


def of_moduli(network: FaceNetwork) -> FaceNetwork:
    """A network of colours with one channel in place of three: where one of moduli may start."""
    numbers = dict(network.state_dict())
    numbers["stem.weight"] = numbers["stem.weight"].sum(1, keepdim=True)
    grey = FaceNetwork(1)
    nn.Module.load_state_dict(grey, numbers)
    return grey


def _channels(faces: FaceDataset, protect: Protect | None) -> int:
    """Of a picture as the network sees it."""
    if protect is None:
        return 3
    return protect(faces.pictures[:1, 0].float() / 255, torch.Generator()).shape[-1]


def _centre(
    head: ArcFace,
    network: FaceNetwork,
    seen: Callable[[Tensor], tuple[Tensor, Tensor]],
    count: int,
) -> None:
    """Put each person's centre at the mean of the network's unit vectors of `count` portraits."""
    with torch.no_grad():
        sums = 1e-3 * F.normalize(head.centres, dim=1)  # of whom no picture is seen
        for rows in torch.arange(count).repeat(2).split(256):  # about half of them are mirrored
            pictures, people = seen(rows)
            sums.index_add_(0, people, F.normalize(network(pictures), dim=1))
        head.centres.copy_(F.normalize(sums, dim=1))


def codes_of(numbers: Tensor) -> Tensor:
    """(2 P, 88) shape and albedo codes of P people, then those of their mirror images."""
    own = torch.stack([torch.cat(identity_codes(int(n))) for n in numbers])
    return torch.cat([own, torch.where(_SIDED, -own, own)])


def protecting(operator: Operator, size: int = 64) -> Protect:
    """The pictures of `train_network`, brought to `size` pixels and protected."""
    return lambda pictures, random: as_input(resized(pictures, size), operator, random)


def as_input(pictures: Tensor, operator: Operator, random: torch.Generator | None) -> Tensor:
    """(N, H, H, 3) colours -> (N, H, H, 1) released modulus, in units of a quarter of its peak."""
    return operator.protect(pictures, random)[..., None] / (0.25 * operator.peak)


def disturbed(
    faces: FaceDataset, rows: Tensor, random: torch.Generator, *, each: int = 1
) -> tuple[Tensor, Tensor]:
    """Portraits (N, H, H, 3) `rows` of the data set, each changed a little, and which are mirrored.

    They are moved by up to three pixels, brighter or darker, some blurred. `each` neighbours of one
    person are mirrored alike.
    """
    count = len(rows)
    variant = torch.multinomial(
        torch.tensor(VARIANT_SHARES), count, replacement=True, generator=random
    )
    x = faces.pictures[rows, variant].float().div(255)
    mirrored = torch.rand(count // each, generator=random).repeat_interleave(each) < 0.5
    x = torch.where(mirrored[:, None, None, None], x.flip(2), x)
    shift = torch.randint(-3, 4, (count, 2), generator=random)
    rows_at, columns_at = ((torch.arange(64) - shift[:, k, None]) % 64 for k in (0, 1))
    x = x[torch.arange(count)[:, None, None], rows_at[:, :, None], columns_at[:, None, :]]
    gain = 1 + 0.3 * (torch.rand(count, 1, 1, 1, generator=random) - 0.5)
    x = 1 - gain * (1 - x)  # the white behind stays white
    soft = torch.rand(count, generator=random) < 0.25
    if bool(soft.any()):
        small = F.avg_pool2d(x[soft].movedim(-1, 1), 2)
        x[soft] = F.interpolate(small, scale_factor=2.0, mode="bilinear").movedim(1, -1)
    return x.clamp(0, 1), mirrored.long()


def _several_of_each(who: Tensor, batch: int, random: torch.Generator) -> Tensor:
    """Rows of a batch: batch / OF_EACH people."""
    people = torch.randperm(int(who.max()) + 1, generator=random)[: batch // OF_EACH]
    rows = []
    for person in people.tolist():
        own = (who == person).nonzero()[:, 0]
        rows.append(own[torch.randint(len(own), (OF_EACH,), generator=random)])
    return torch.cat(rows)


# Classical ----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Projection:
    """A feature minus its mean, times a matrix."""

    kind: str  # "hog" or "pixels"
    mean: Tensor  # (F,)
    matrix: Tensor  # (F, D)

    def __call__(self, pictures: Tensor) -> Tensor:
        """(N, H, H, C) -> (N, D)."""
        return (features(pictures, self.kind) - self.mean) @ self.matrix.float()


def features(pictures: Tensor, kind: str) -> Tensor:
    """(N, F) of pictures (N, H, H, C): HOG of cells of 8 pixels, or pixels, of their grey values.

    Pixels lose their mean and spread, so that brightness says nothing.
    """
    grey = head_crop(pictures).mean(1)
    if kind == "pixels":
        flat = grey.flatten(1)
        flat = flat - flat.mean(1, keepdim=True)
        return flat / flat.norm(dim=1, keepdim=True).clamp_min(1e-6)
    from skimage.feature import hog

    rows = [hog(picture, 9, (8, 8), (2, 2), feature_vector=True) for picture in grey.numpy()]
    return torch.from_numpy(np.stack(rows).astype(np.float32))


def train_projection(
    faces: FaceDataset,
    kind: str,
    *,
    operator: Operator | None = None,
    seed: int = 0,
    width: int = 100,
) -> Projection:
    """HOG or pixels of all variants, a PCA, then LDA."""
    random = torch.Generator().manual_seed(seed)
    rows, people = [], []
    for variant in range(faces.pictures.shape[1]):
        for part in torch.arange(len(faces)).split(512):
            x = faces.pictures[part, variant].float().div(255)
            x = x if operator is None else as_input(x, operator, random).clamp(0, 1)
            rows.append(features(x, kind))
            people.append(faces.identity[part])
    data: NDArray[np.float32] = torch.cat(rows).numpy()
    who = torch.cat(people).numpy()
    mean, matrix = telling_apart(data, who, 200, width, shrinkage=1e-3, seed=seed)
    matrix = matrix / math.sqrt(float(matrix.square().sum(0).mean()))
    return Projection(kind, mean, matrix.half())


def telling_apart(
    data: NDArray[np.float32],
    who: NDArray[np.int64],
    components: int,
    width: int,
    *,
    shrinkage: float,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Mean (F,) and matrix (F, <= width) of a PCA, then LDA, of features (N, F) of people (N,).

    The PCA keeps `components` at most, LDA (its covariance shrunk) the `width` columns that tell
    people apart best.
    """
    from sklearn.decomposition import PCA
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    pca = PCA(min(components, *data.shape), svd_solver="randomized", random_state=seed).fit(data)
    lda = LinearDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage)
    lda.fit(pca.transform(data), who)
    matrix = torch.from_numpy(pca.components_.T @ lda.scalings_[:, :width]).float()
    return torch.from_numpy(pca.mean_).float(), matrix
