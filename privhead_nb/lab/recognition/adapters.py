"""Recognisers of libraries that the user installs: deepface (all its models), face_recognition.

    from privhead_nb.lab.recognition import adapters, verdicts
    one = adapters.deepface("ArcFace")              # or adapters.face_recognition()
    unit, made = one.embed(pictures)                # as any other recogniser
    verdicts.verify(one, originals, protected)      # with version, threshold, distance

Neither library nor weights come with this package, and it fetches none: it looks for the weight
files first, and while it calls a library no name is looked up on the network.
"""

from __future__ import annotations

import importlib
import inspect
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from privhead_nb.errors import LabError
from privhead_nb.lab.recognition.calling import (
    Pixels,
    batched,
    offline,
    optional,
    version,
)
from privhead_nb.lab.recognition.verdicts import Installed, Metric, no_metric

SIZE = 256  # pixels; detectors miss faces in 64
FACE = (0.35, 0.70, 0.75, 0.30)
"""Top, right, bottom, left of the face as shares of a portrait, where nothing looks for it: the
median of dlib's own finds in 30 frontal portraits of made heads, enlarged to 384 pixels."""

# Weight files of deepface 0.0.103, less the ending that its backend engine asks for.
DEEPFACE_WEIGHTS = {
    "VGG-Face": "vgg_face_weights",
    "Facenet": "facenet_weights",
    "Facenet512": "facenet512_weights",
    "OpenFace": "openface_weights",
    "DeepFace": "VGGFace2_DeepFace_weights_val-0.9034",
    "DeepID": "deepid_weights",
    "Dlib": "dlib_face_recognition_resnet_model_v1.dat",
    "ArcFace": "arcface_weights",
    "SFace": "face_recognition_sface_2021dec.onnx",
    "GhostFaceNet": "ghostfacenet_v1",
    "Buffalo_L": "buffalo_l/webface_r50.onnx",
}
_ENDINGS = {"tensorflow": ".h5", "pytorch": ".pth", "onnx": ".onnx"}
_WHOLE = (".dat", ".onnx")  # endings of files that are one and the same for all engines

_DLIB_FILES = (
    "face_recognition",
    "pose_predictor",
    "pose_predictor_five_point",
    "cnn_face_detector",
)
_DEEPFACE_PIP = "pip install deepface werkzeug"
_DLIB_PIP = 'pip install face_recognition "setuptools<81"'


def deepface(
    model: str = "ArcFace",
    *,
    detector: str = "skip",
    enforce: bool = True,
    metric: Metric = "cosine",
    size: int = SIZE,
) -> Installed:
    """A model of deepface, which must be installed with that model's weights in place.

    Args:
        model: one of DEEPFACE_WEIGHTS.
        detector: "skip" cuts FACE out of the picture; others are deepface's detector_backend.
        enforce: no face found, no template; else the whole picture counts as one.
        metric: distance that `verdicts.verify` measures.
        size: pictures that are smaller are enlarged to that.

    Raises:
        LabError: deepface, something it needs, or a weight file is missing; no such model.
    """
    if model not in DEEPFACE_WEIGHTS:
        raise LabError(
            f"deepface has no model {model!r} that we know",
            where="deepface",
            remedy=f"Models: {', '.join(DEEPFACE_WEIGHTS)}.",
        )
    _check_metric(metric)
    optional("deepface", _DEEPFACE_PIP)
    engine = _engine()
    weights = deepface_weights(model, engine)
    if not weights.is_file():
        raise LabError(
            f"the weights of {model} (on {engine}) are missing",
            where=weights,
            remedy="Fetch them yourself, as their makers allow, and put the file there; or let "
            f"deepface: from deepface import DeepFace; DeepFace.build_model({model!r}).",
        )
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
                remedy=f"Weights belong in {weights.parent}; nothing is fetched here. "
                f"Packages: {_DEEPFACE_PIP}.",
            ) from error
        return np.asarray(_largest(faces)["embedding"], np.float32).ravel() if faces else None

    def template(rgb: Pixels) -> NDArray[np.float32] | None:
        return call(_cut(rgb) if detector == "skip" else rgb, detector, enforce)

    # Loads the model, and with it whatever a detector needs, before anything is timed.
    grey: Pixels = np.full((size, size, 3), 128, np.uint8)
    first = call(grey, "skip", False)
    if detector != "skip":
        call(grey, detector, False)
    return _installed(
        batched(template, size, 0 if first is None else len(first)),
        library="deepface",
        version=version("deepface"),
        runs_on={".dat": "dlib", ".onnx": "onnx"}.get(weights.suffix, engine),
        model=model,
        detector=detector if enforce or detector == "skip" else f"{detector}, not enforced",
        metric=metric,
        library_threshold=_deepface_threshold(model, metric),
    )


def face_recognition(
    *, detector: str = "hog", enforce: bool = True, metric: Metric = "euclidean", size: int = SIZE
) -> Installed:
    """The face_recognition library (dlib's network, 128 numbers), which must be installed.

    Args:
        detector: "hog" or "cnn", which look for faces; "skip" believes FACE.
        enforce: no face found, no template; else FACE is believed.
        metric: the library's threshold is for "euclidean".
        size: pictures that are smaller are enlarged to that.

    Raises:
        LabError: the library or its weights are missing; no such detector.
    """
    if detector not in ("skip", "hog", "cnn"):
        raise LabError(
            f"face_recognition has no detector {detector!r}",
            where="face_recognition",
            remedy="Detectors: skip, hog, cnn.",
        )
    _check_metric(metric)
    # Without these face_recognition would end the whole process when imported.
    models = optional("face_recognition_models", _DLIB_PIP)
    for name in _DLIB_FILES:
        weights = Path(getattr(models, f"{name}_model_location")())
        if not weights.is_file():
            raise LabError(
                "a weight file of face_recognition is missing",
                where=weights,
                remedy="It comes with a package: pip install --force-reinstall "
                "face_recognition_models.",
            )
    library = optional("face_recognition", _DLIB_PIP)
    dlib = optional("dlib", _DLIB_PIP)

    def template(rgb: Pixels) -> NDArray[np.float32] | None:
        side = rgb.shape[0]
        believed = [tuple(round(share * side) for share in FACE)]
        with offline():
            boxes = believed if detector == "skip" else library.face_locations(rgb, model=detector)
            if not boxes and not enforce:
                boxes = believed
            if not boxes:
                return None
            box = max(boxes, key=lambda b: (b[2] - b[0]) * (b[1] - b[3]))
            found = library.face_encodings(rgb, known_face_locations=[box])
        return np.asarray(found[0], np.float32) if found else None

    tolerance = inspect.signature(library.compare_faces).parameters.get("tolerance")
    known = tolerance is not None and metric == "euclidean"
    return _installed(
        batched(template, size, 128),
        library="face_recognition",
        version=version("face_recognition"),
        runs_on=f"dlib {getattr(dlib, '__version__', 'unknown')}",
        model="dlib",
        detector=detector if enforce or detector == "skip" else f"{detector}, not enforced",
        metric=metric,
        library_threshold=float(tolerance.default) if known and tolerance else None,
    )


def deepface_weights(model: str, engine: str) -> Path:
    """Where deepface looks for a model's weights: DEEPFACE_HOME, or the user's home."""
    name = DEEPFACE_WEIGHTS[model]
    if not name.endswith(_WHOLE):
        keras = engine == "tensorflow" and model == "DeepID"
        name = ("deepid_keras_weights" if keras else name) + _ENDINGS[engine]
    return Path(os.environ.get("DEEPFACE_HOME", str(Path.home()))) / ".deepface" / "weights" / name


def _installed(function: Callable[[Tensor], Tensor], **facts: Any) -> Installed:
    """With a name and a note made of the facts."""
    bare = Installed(name=f"{facts['library']}:{facts['model']}", function=function, **facts)
    limit, table = bare.threshold, bare.published
    note = (
        f"{bare.library} {bare.version} on {bare.runs_on}, {bare.model}, detector {bare.detector}, "
        + (
            f"verified at {bare.metric} <= {limit.threshold:g} ({limit.source})"
            if limit
            else f"no threshold known for {bare.metric}"
        )
    )
    if limit and table and table.threshold != limit.threshold:
        note += f"; our table says {table.threshold:g} ({table.source})"
    return replace(bare, note=note)


def _engine() -> str:
    """What deepface will compute with; versions without a choice had TensorFlow."""
    try:
        utils = importlib.import_module("deepface.commons.backend_utils")
    except ImportError:
        return "tensorflow"
    try:
        engine = str(utils.get_backend_engine())
    except ValueError as error:
        raise LabError(str(error), where="deepface", remedy=_DEEPFACE_PIP) from error
    if engine not in _ENDINGS:
        raise LabError(
            f"deepface runs on {engine}, and we don't know its weight files there",
            where="deepface",
            remedy=f"Set DEEPFACE_BACKEND_ENGINE to one of {', '.join(_ENDINGS)}.",
        )
    return engine


def _deepface_threshold(model: str, metric: Metric) -> float | None:
    try:
        module = importlib.import_module("deepface.modules.verification")
        return float(module.find_threshold(model, metric))
    except (ImportError, AttributeError, ValueError):
        return None


def _is_no_face(error: Exception) -> bool:
    said = "could not be detected" in str(error)
    return isinstance(error, ValueError) and (said or type(error).__name__ == "FaceNotDetected")


def _largest(faces: list[dict[str, Any]]) -> dict[str, Any]:
    return max(faces, key=lambda face: face["facial_area"]["w"] * face["facial_area"]["h"])


def _cut(rgb: Pixels) -> Pixels:
    top, right, bottom, left = (round(share * rgb.shape[0]) for share in FACE)
    return rgb[top:bottom, left:right]


def _check_metric(metric: str) -> None:
    if metric not in get_args(Metric):
        raise no_metric(metric)
