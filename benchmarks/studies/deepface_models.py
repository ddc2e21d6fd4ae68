"""Recognisers of deepface, all its models, beside the lab's own: an adapter to use or to copy.

deepface and its weights are the user's to install, in an environment of their own; how stands in
docs/recognisers.md. Nothing is fetched: while this calls the library no name is looked up on the
network.

    from benchmarks.studies.deepface_models import deepface
    one = deepface("ArcFace")
"""

from __future__ import annotations

import importlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.studies.dlib_recogniser import SIZE, batched, version
from privhead_nb.errors import LabError, check_choice
from privhead_nb.lab.recognisers.published import FACE, Pixels, optional
from privhead_nb.lab.recognisers.verdicts import PUBLISHED, Installed, Metric

MODELS = tuple(model for library, model, _ in PUBLISHED if library == "deepface")
"""Of deepface."""
_PIP = "pip install deepface werkzeug"
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
    library = optional("deepface.DeepFace", _PIP)

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
                f"Packages: {_PIP}.",
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
        library_threshold=_threshold(model, metric),
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


def _threshold(model: str, metric: Metric) -> float | None:
    try:
        module = importlib.import_module("deepface.modules.verification")
        return float(module.find_threshold(model, metric))
    except (ImportError, AttributeError, ValueError):
        return None


def _is_no_face(error: Exception) -> bool:
    said = "could not be detected" in str(error)
    return isinstance(error, ValueError) and (said or type(error).__name__ == "FaceNotDetected")
