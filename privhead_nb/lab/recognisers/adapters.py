"""Recognisers of deepface, all its models, which the user installs with their weights.

How they are used stands in docs/recognisers.md. Neither library nor weights come with this package,
and it fetches none: while it calls the library no name is looked up on the network. What
`published` needs too stands here: pictures as bytes, templates in a row, libraries that may be
missing.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from privhead_nb.errors import LabError, check_choice
from privhead_nb.lab.recognisers.verdicts import PUBLISHED, Installed, Metric

Pixels = NDArray[np.uint8]
Template = Callable[[Pixels], NDArray[np.float32] | None]
SIZE = 256  # pixels; detectors miss faces in 64, so smaller pictures are enlarged to that
FACE = (0.35, 0.70, 0.75, 0.30)
"""Top, right, bottom, left of the face as shares of a portrait, where nothing looks for it: the
median of dlib's own finds in 30 frontal portraits of made heads."""
MODELS = tuple(model for library, model, _ in PUBLISHED if library == "deepface")
"""Of deepface."""
_DEEPFACE_PIP = "pip install deepface werkzeug"
_turns = threading.RLock()


def deepface(
    model: str = "ArcFace", *, detector: str = "skip", metric: Metric = "cosine"
) -> Installed:
    """A model of deepface, which must be installed with that model's weights in place.

    Args:
        model: one of MODELS.
        detector: "skip" cuts FACE out of the picture; others are deepface's detector_backend.
        metric: distance that `verdicts.verify` measures.

    Raises:
        LabError: deepface, something it needs, or a weight file is missing; no such model.
    """
    check_choice("model", model, MODELS, where="deepface", error=LabError)
    library = optional("deepface.DeepFace", _DEEPFACE_PIP)

    def call(rgb: Pixels, backend: str, must: bool) -> NDArray[np.float32] | None:
        try:
            with offline():
                faces = library.represent(
                    img_path=np.ascontiguousarray(rgb[..., ::-1]),  # it wants blue first
                    model_name=model,
                    detector_backend=backend,
                    enforce_detection=must,
                )
        except Exception as error:
            if _is_no_face(error):
                return None
            raise LabError(
                f"it can't be run: {error}",
                where=f"deepface {model}, detector {backend}",
                remedy="Nothing is fetched here. Fetch the weights yourself, as their makers "
                f"allow: from deepface import DeepFace; DeepFace.build_model({model!r}). "
                f"Packages: {_DEEPFACE_PIP}.",
            ) from error
        largest = max(faces, key=lambda f: f["facial_area"]["w"] * f["facial_area"]["h"])
        return np.asarray(largest["embedding"], np.float32).ravel()

    def template(rgb: Pixels) -> NDArray[np.float32] | None:
        top, right, bottom, left = (round(share * rgb.shape[0]) for share in FACE)
        return call(rgb[top:bottom, left:right] if detector == "skip" else rgb, detector, True)

    # Loads the model, and with it whatever a detector needs, before anything is timed.
    grey: Pixels = np.full((SIZE, SIZE, 3), 128, np.uint8)
    first = call(grey, "skip", False)
    if detector != "skip":
        call(grey, detector, False)
    return _installed(
        batched(template, 0 if first is None else len(first)),
        library="deepface",
        version=version("deepface"),
        runs_on=_engine(),
        model=model,
        detector=detector,
        metric=metric,
        library_threshold=_deepface_threshold(model, metric),
    )


@contextmanager
def offline() -> Iterator[None]:
    """No name is looked up on the network meanwhile by this thread; others wait their turn."""
    with _turns:
        real, here = socket.getaddrinfo, threading.get_ident()

        def refuse(*args: Any, **options: Any) -> Any:
            if threading.get_ident() == here:
                raise OSError(
                    f"nothing is fetched here ({args[0] if args else 'a host'} asked for)"
                )
            return real(*args, **options)

        socket.getaddrinfo = refuse
        try:
            yield
        finally:
            socket.getaddrinfo = real


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


def version(library: str) -> str:
    """Of the installed package, or else what its module says."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return str(getattr(importlib.import_module(library), "__version__", "unknown"))


def _installed(function: Callable[[Tensor], Tensor], **facts: Any) -> Installed:
    """With a name and a note made of the facts."""
    name = f"{facts['library']}:{facts['model']}"
    note = f"{facts['library']} {facts['version']} on {facts['runs_on']}, {facts['model']}, "
    return Installed(name, function, f"{note}detector {facts['detector']}", **facts)


def _engine() -> str:
    """What deepface computes with; versions without a choice had TensorFlow."""
    try:
        utils = importlib.import_module("deepface.commons.backend_utils")
    except ImportError:
        return "tensorflow"
    return str(utils.get_backend_engine())


def _deepface_threshold(model: str, metric: Metric) -> float | None:
    try:
        module = importlib.import_module("deepface.modules.verification")
        return float(module.find_threshold(model, metric))
    except (ImportError, AttributeError, ValueError):
        return None


def _is_no_face(error: Exception) -> bool:
    said = "could not be detected" in str(error)
    return isinstance(error, ValueError) and (said or type(error).__name__ == "FaceNotDetected")
