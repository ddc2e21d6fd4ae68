"""Same person or not, as an installed library would say: with its version and its threshold.

A verdict means nothing without its threshold, and thresholds move: deepface's for VGG-Face went
from 0.40 to 0.68 (cosine). So each verdict holds what the library says and what was published.
"""

from __future__ import annotations

import time
from dataclasses import astuple, dataclass, fields
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from privhead_nb.errors import LabError, check_choice
from privhead_nb.lab.recognisers import Recogniser, is_template

Metric = Literal["cosine", "euclidean", "euclidean_l2", "angular"]


@dataclass(frozen=True)
class Published:
    """A threshold that stands somewhere: verified iff distance <= threshold."""

    threshold: float
    source: str


_DLIB = "dlib, python_examples/face_recognition.py; IDeudemon (Wen et al., ICCV 2023), Figure 4"
_DEEPFACE = "deepface 0.0.103, deepface/config/threshold.py"
_IDEUDEMON = "IDeudemon (Wen et al., ICCV 2023), Figure 4"

PUBLISHED: dict[tuple[str, str, Metric], Published] = {
    ("dlib", "face_recognition_resnet_model_v1", "euclidean"): Published(0.6, _DLIB),
    **{
        ("deepface", model, "cosine"): Published(threshold, _DEEPFACE)
        for model, threshold in {
            "VGG-Face": 0.68,
            "Facenet": 0.40,
            "Facenet512": 0.30,
            "ArcFace": 0.68,
            "Dlib": 0.07,
            "SFace": 0.593,
            "OpenFace": 0.10,
            "GhostFaceNet": 0.65,
            "DeepFace": 0.23,
            "DeepID": 0.015,
            "Buffalo_L": 0.55,
        }.items()
    },
}
"""By library, model and metric."""

IDEUDEMON_FACENET = Published(1.1, _IDEUDEMON)
"""L2, for a FaceNet learned on CASIA-WebFace and VGGFace2; not deepface's Facenet, whose weights
and threshold are others. Give it to `verify` to decide by it all the same."""


@dataclass(frozen=True, kw_only=True)
class Library:
    """What makes templates: an installed library, and how it was asked."""

    library: str  # its name in Python
    version: str  # the installed one
    runs_on: str = ""  # what computes for it ("onnx", "dlib 20.0.1")
    model: str  # the library's name of it
    detector: str = "skip"  # what finds faces, "skip" if nothing does
    metric: Metric = "cosine"  # distance that the threshold is for
    # what the installed version verifies at; None if it doesn't say.
    library_threshold: float | None = None

    def __post_init__(self) -> None:
        check_choice("metric", self.metric, get_args(Metric), where="metric", error=LabError)


@dataclass(frozen=True, eq=False)
class Installed(Recogniser, Library):
    """A recogniser of a library that the user installed.

    `function` gives templates as the library makes them, not of unit length, and NaN where it
    found no face.
    """

    @property
    def published(self) -> Published | None:
        """What our table says, if it does."""
        return PUBLISHED.get((self.library, self.model, self.metric))

    @property
    def threshold(self) -> Published | None:
        """What decides unless another is asked for: the library's own, or else the table's."""
        if self.library_threshold is None:
            return self.published
        return Published(self.library_threshold, f"{self.library} {self.version}")


@dataclass(frozen=True, kw_only=True)
class Verdict(Library):
    """What was said of one pair of pictures, and by what. `dataclasses.asdict` fits JSON."""

    threshold: float  # the one that decided: asked for, or the library's, or the table's
    threshold_from: str  # where that one stands
    # table_threshold, table_source: our table's, whichever decided; None if unknown.
    table_threshold: float | None
    table_source: str | None
    found: tuple[bool, bool]  # whether there was a face in the first and in the second picture
    distance: float | None  # None without two faces
    # distance <= threshold; None, and not False, without two faces: a face that isn't found is not
    # a face that is protected.
    verified: bool | None
    seconds: float  # for both templates and their distance

    @property
    def differ(self) -> bool:
        """The installed library's threshold isn't the table's."""
        known = self.library_threshold is not None and self.table_threshold is not None
        return known and self.library_threshold != self.table_threshold


def distance(first: Tensor, second: Tensor, metric: Metric) -> float:
    """Between two templates (D,), as deepface defines its four metrics."""
    a, b = first.double(), second.double()
    if metric == "euclidean":
        return float((a - b).norm())
    a, b = a / a.norm(), b / b.norm()
    if metric == "euclidean_l2":
        return float((a - b).norm())
    cosine = float((a @ b).clamp(-1.0, 1.0))
    if metric == "cosine":
        return 1.0 - cosine
    return float(torch.acos(torch.tensor(cosine)) / torch.pi)


def verify(
    one: Installed, first: Tensor, second: Tensor, *, threshold: Published | None = None
) -> tuple[Verdict, ...]:
    """A verdict on each pair of pictures, (N, H, H, C) and (N, H, H, C) in [0, 1].

    Raises:
        LabError: pictures that don't pair, or no threshold is known.
    """
    if first.dim() != 4 or first.shape[0] != second.shape[0]:
        raise LabError(
            f"pictures of shapes {tuple(first.shape)} and {tuple(second.shape)}",
            where=one.name,
            remedy="Give as many first as second pictures, (N, H, H, C) each.",
        )
    limit, table = threshold or one.threshold, one.published
    if limit is None:
        raise LabError(
            f"no threshold is known for {one.model} and {one.metric}",
            where=one.name,
            remedy="Give one: verify(..., threshold=Published(0.5, 'why')).",
        )
    asked: dict[str, Any] = {f.name: getattr(one, f.name) for f in fields(Library)}
    asked |= {"threshold": limit.threshold, "threshold_from": limit.source}
    asked["table_threshold"], asked["table_source"] = astuple(table) if table else (None, None)
    verdicts = []
    for pair in zip(first, second, strict=True):
        began = time.perf_counter()
        with torch.no_grad():
            x, y = (one.function(picture[None])[0] for picture in pair)
        found = bool(is_template(x)), bool(is_template(y))
        apart = distance(x, y, one.metric) if all(found) else None
        verified = None if apart is None else apart <= limit.threshold
        seconds = time.perf_counter() - began
        verdicts.append(
            Verdict(**asked, found=found, distance=apart, verified=verified, seconds=seconds)
        )
    return tuple(verdicts)
