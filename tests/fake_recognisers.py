"""Stand-ins for deepface 0.0.103 and face_recognition 1.3.0: their names, arguments and answers."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from privhead_nb.lab.recognition import adapters, calling


class FaceNotDetected(ValueError):  # noqa: N818
    """As deepface calls it."""


def module(monkeypatch: pytest.MonkeyPatch, name: str, **parts: Any) -> ModuleType:
    made = ModuleType(name)
    made.__path__ = []  # type: ignore[attr-defined]
    for key, value in parts.items():
        setattr(made, key, value)
    monkeypatch.setitem(sys.modules, name, made)
    return made


def pictures(*levels: float) -> Tensor:
    """(N, 64, 64, 3), each of one red, so that a template can tell them apart."""
    x = torch.zeros(len(levels), 64, 64, 3)
    x[..., 0] = torch.tensor(levels)[:, None, None]
    return x


def seen(picture: np.ndarray) -> list[float]:
    """The fakes' template: red, and something that never vanishes."""
    return [float(picture[..., 0].mean()) / 255, 0.5, 0.0]


def deepface(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """deepface on PyTorch; finds no face in pictures that are dark."""
    state = SimpleNamespace(calls=[], thresholds={"cosine": 0.68}, error=None, home=tmp_path)

    def represent(
        img_path: np.ndarray,
        model_name: str = "VGG-Face",
        enforce_detection: bool = True,
        detector_backend: str = "opencv",
    ) -> list[dict[str, Any]]:
        state.calls.append((img_path.shape, img_path.dtype, detector_backend, enforce_detection))
        if state.error:
            raise state.error
        rgb = img_path[..., ::-1]
        dark = rgb[..., 0].mean() < 26
        if detector_backend != "skip" and enforce_detection and dark:
            raise FaceNotDetected("Face could not be detected. Please confirm ...")
        large, small = {"w": 90, "h": 90}, {"w": 5, "h": 5}
        return [
            {"embedding": [9.0, 9.0, 9.0], "facial_area": small, "face_confidence": 0.9},
            {"embedding": seen(rgb), "facial_area": large, "face_confidence": 0.9},
        ]

    def find_threshold(model_name: str, distance_metric: str = "cosine") -> float:
        if distance_metric not in state.thresholds:
            raise ValueError("not available")
        return state.thresholds[distance_metric]

    module(monkeypatch, "deepface", __version__="9.9.9")
    module(monkeypatch, "deepface.DeepFace", represent=represent)
    module(monkeypatch, "deepface.commons")
    module(monkeypatch, "deepface.commons.backend_utils", get_backend_engine=lambda: "pytorch")
    module(monkeypatch, "deepface.modules")
    module(monkeypatch, "deepface.modules.verification", find_threshold=find_threshold)
    monkeypatch.setattr(calling.importlib.metadata, "version", _no_metadata)
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    weights = tmp_path / ".deepface" / "weights" / "arcface_weights.pth"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    state.weights = weights
    return state


def _no_metadata(name: str) -> str:
    raise calling.importlib.metadata.PackageNotFoundError(name)


def dlib(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """face_recognition; finds no face in pictures that are dark, else two."""
    state = SimpleNamespace(boxes=[], models=[])
    models = {}
    for name in adapters._DLIB_FILES:
        path = tmp_path / f"{name}.dat"
        path.write_bytes(b"weights")
        state.models.append(path)
        models[f"{name}_model_location"] = lambda path=path: str(path)

    def face_locations(
        img: np.ndarray, number_of_times_to_upsample: int = 1, model: str = "hog"
    ) -> list[tuple[int, int, int, int]]:
        return [] if img[..., 0].mean() < 26 else [(0, 9, 9, 0), (50, 200, 210, 40)]

    def face_encodings(
        face_image: np.ndarray, known_face_locations: Any = None, num_jitters: int = 1
    ) -> list[np.ndarray]:
        state.boxes += known_face_locations
        row = np.zeros(128)
        row[:3] = seen(face_image)
        return [row for _ in known_face_locations]

    def compare_faces(known: Any, check: Any, tolerance: float = 0.6) -> list[bool]:
        raise AssertionError("only its default is asked for")

    module(monkeypatch, "face_recognition_models", **models)
    module(
        monkeypatch,
        "face_recognition",
        __version__="1.2.3",
        face_locations=face_locations,
        face_encodings=face_encodings,
        compare_faces=compare_faces,
    )
    module(monkeypatch, "dlib", __version__="20.0")
    monkeypatch.setattr(calling.importlib.metadata, "version", lambda name: "1.3.0")
    return state
