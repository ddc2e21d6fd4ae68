"""What is left of a portrait after de-identification: how it is measured.

detected       by scikit-image's cascade of local binary patterns (`deid.domain.faces_found`), or
               MTCNN where it is installed
landmarks      distance of dlib's 68, where it is installed
pose, face     errors of a regressor that no system learned from or against
likeness       PSNR, SSIM
realism        Frechet distance in a recogniser's feature space; *not* the FID, whose network
               learned photographs
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.linalg import sqrtm
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor, nn

from benchmarks.studies.deid.portraits import KnownPortraits
from privhead_nb.deid.portraits import POSE
from privhead_nb.deid.stored import load_parts, path_of
from privhead_nb.errors import LabError
from privhead_nb.heads.codes import EXPRESSION_NAMES
from privhead_nb.lab.fit import fit
from privhead_nb.lab.recognisers import Recogniser, head_crop
from privhead_nb.lab.recognisers.network import DIMENSIONS, FaceNetwork

NAME = "pose_and_expression"
COMMAND = "python benchmarks/studies/arena.py regressor"
SCALE = (1.0, 1.0, 0.1, 0.1, 0.1, 0.1)
"""Weights of POSE in the loss; only yaw and pitch are scored."""


# Likeness and realism -----------------------------------------------------------------------------


def psnr(pictures: Tensor, originals: Tensor) -> NDArray[np.float64]:
    """(N,) decibels between pictures (N, H, W, C) in [0, 1]; inf where they are the same."""
    both = zip(originals.double().numpy(), pictures.double().numpy(), strict=True)
    with np.errstate(divide="ignore"):
        return np.array([peak_signal_noise_ratio(a, b, data_range=1.0) for a, b in both])


def ssim(pictures: Tensor, originals: Tensor) -> NDArray[np.float64]:
    """(N,) structural similarity (Wang et al. 2004) of pictures (N, H, W, C) in [0, 1]."""
    both = zip(originals.double().numpy(), pictures.double().numpy(), strict=True)
    return np.array([structural_similarity(a, b, data_range=1.0, channel_axis=-1) for a, b in both])


def frechet_distance(one: Tensor, two: Tensor) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^1/2) of two sets of features (N, D), (M, D).

    Raises:
        LabError: fewer features than dimensions, of which no covariance can be told.
    """
    for features in (one, two):
        if len(features) <= features.shape[1]:
            raise LabError(
                f"{len(features)} pictures for {features.shape[1]} features",
                where="Frechet distance",
                remedy="Give more pictures.",
            )
    a, b = one.double().numpy(), two.double().numpy()
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(ca @ cb)
    apart = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return float(max(0.0, apart + np.trace(ca + cb - 2 * np.real(root))))


def realism(pictures: Tensor, others: Tensor, recogniser: Recogniser) -> float:
    """Frechet distance of pictures to other people's, in a recogniser's feature space."""
    return frechet_distance(recogniser.embed(pictures)[0], recogniser.embed(others)[0])


# Pose and expression ------------------------------------------------------------------------------


class Regressor(nn.Module):
    """(N, 64, 64, 3) pictures -> pose (N, 6) and expression (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.network = FaceNetwork(3)
        self.out = nn.Linear(DIMENSIONS, len(POSE) + len(EXPRESSION_NAMES))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        told = self.out(self.network(head_crop(pictures)))
        return told[:, : len(POSE)], told[:, len(POSE) :]


def train_regressor(
    portraits: KnownPortraits, steps: int = 2500, *, seed: int = 0, progress: bool = False
) -> Regressor:
    """A regressor of pose and expression, of portraits of people who are never measured.

    Args:
        portraits: mirrored ones count too.
        steps: of 64 portraits.
    """
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    everyone = KnownPortraits.join([portraits, portraits.mirrored()])
    regressor = Regressor()
    regressor.network.to(memory_format=torch.channels_last)
    regressor.train()
    adam = torch.optim.AdamW(regressor.parameters(), 3e-3, weight_decay=1e-2)
    weights = torch.tensor(SCALE)

    def loss(_step: int) -> Tensor:
        some = everyone.drawn(64, random)
        pose, expression = regressor(some.rgb())
        return 10 * (weights * (pose - some.pose)).square().mean() + F.mse_loss(
            expression, some.expression
        )

    fit(adam, loss, steps, desc="pose and expression", progress=progress)
    return regressor.eval()


@cache
def regressor() -> Regressor:
    """The one that ships; it learned people of the group "recogniser".

    Raises:
        LabError: its weights are missing or damaged.
    """
    made = Regressor()
    load_parts(path_of(NAME), {"regressor": made}, COMMAND)
    return made


@torch.no_grad()
def pose_and_expression(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Yaw and pitch (N, 2) degrees, and expression (N, 10), as the shipped regressor reads them."""
    parts = [regressor()(part) for part in pictures.split(256)]
    pose = torch.cat([pose for pose, _ in parts])
    return torch.rad2deg(pose[:, :2]), torch.cat([expression for _, expression in parts])
