"""What training gives back: the field, its meshes, and the record of how it came about."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from privhead_nb.errors import TrainingError
from privhead_nb.field.model import HeadModel
from privhead_nb.files import claim, clear, write_json, write_tensors
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.reading import (
    MAX_TENSORS,
    Record,
    check_file,
    read_json,
    read_tensors,
    unreadable,
)
from privhead_nb.render.volume import Rendered, render_view
from privhead_nb.scenes.camera import Cameras
from privhead_nb.training.batches import rays_through, unit_cameras
from privhead_nb.training.checkpoint import (
    History,
    check_tensors,
    check_there,
    read_history,
    read_seconds,
)
from privhead_nb.training.profiles import Profile

REPORT = "report.json"
FILES = ("mesh.ply", "stage1.ply", "field.safetensors", REPORT)
_AGAIN = "Run `privhead reconstruct` again."


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """A reconstructed head.

    Attributes:
        model: field, colour network and beta, in unit-sphere coordinates.
        mesh: the zero level set, scene unit.
        stage1_mesh: the same after stage 1; None for a baseline or without stage 1.
        center, radius: the bounding sphere that unit coordinates refer to, scene unit.
        background: colour behind the head.
        settings: the profile that it was trained with.
        history: for each stage, lists of step numbers and of every loss term.
        report: what report.json holds: input, seed, seconds, memory, versions.
    """

    model: HeadModel
    mesh: Mesh
    stage1_mesh: Mesh | None
    center: tuple[float, float, float]
    radius: float
    background: tuple[float, float, float]
    settings: Profile
    history: History = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def linear_light(self) -> float:
        """How its pixels are averaged (`batches.linear_light`); older reports say nothing: 0."""
        return float(self.report.get("linear_light", 0.0))

    def render(self, cameras: Cameras, view: int = 0) -> Rendered:
        """Render one view: colour (H, W, 3), opacity, depth (scene unit) and normals.

        Args:
            cameras: cameras in the scene's unit.
            view: which of them.
        """
        device = next(self.model.parameters()).device
        height, width = cameras.height, cameras.width
        unit = unit_cameras(cameras[view], self.center, self.radius)
        side = self.settings.render.supersampling
        rays = rays_through(unit, torch.arange(height * width, device=device), side)
        background = torch.tensor(self.background, device=device)
        flat = render_view(
            self.model,
            rays,
            background,
            self.settings.render,
            rays_a_pixel=side**2,
            linear_light=self.linear_light,
        )
        return Rendered(
            colour=flat.colour.reshape(height, width, 3),
            opacity=flat.opacity.reshape(height, width),
            depth=flat.depth.reshape(height, width) * self.radius,
            normals=flat.normals.reshape(height, width, 3),
            gradients=flat.gradients,
            laplacians=None,
        )

    def save(self, folder: str | Path) -> None:
        """Write mesh.ply, stage1.ply, field.safetensors and report.json, each whole or not at all.

        The report comes last and holds the others' checksums: what is read in between is refused.

        Raises:
            OutputError: the disk says no, or another run writes there.
        """
        with claim(folder) as target:
            write_tensors(target / "field.safetensors", self.model.state_dict())
            if self.stage1_mesh is None:
                clear([target / "stage1.ply"])
            else:
                self.stage1_mesh.save(target / "stage1.ply")
            self.mesh.save(target / "mesh.ply")
            written = [name for name in FILES if name != REPORT and (target / name).exists()]
            sphere = {"center": self.center, "radius": self.radius, "background": self.background}
            report = self.report | {
                "files": {name: sha256(target / name) for name in written},
                "sphere": sphere,
                "settings": self.settings.to_dict(),
                "history": self.history,
            }
            write_json(target / REPORT, report)

    @classmethod
    def load(cls, folder: str | Path) -> Reconstruction:
        """Read a folder that `save` wrote.

        Raises:
            TrainingError: a file is missing, broken, or does not fit the others; it is named.
        """
        folder = Path(folder)
        remedy = "Name the folder that `privhead reconstruct` wrote, after it finished."
        check_there(folder, (REPORT, "field.safetensors", "mesh.ply"), remedy)
        report = read_json(folder / REPORT, error=TrainingError, remedy=_AGAIN)
        _check_report(report)
        check_files(folder, report)
        settings = Profile.from_record(report.record("settings"))
        sphere = report.record("sphere")
        path = folder / "field.safetensors"
        model = HeadModel(settings.field)
        tensors, _ = read_tensors(path, error=TrainingError, remedy=_AGAIN)
        check_tensors(tensors, model.state_dict(), path, _AGAIN)
        model.load_state_dict(tensors)
        stage1 = folder / "stage1.ply"
        made = cls(
            model=model,
            mesh=Mesh.load(folder / "mesh.ply"),
            stage1_mesh=Mesh.load(stage1) if stage1.is_file() else None,
            center=sphere.vec3("center", -1e9, 1e9),
            radius=sphere.number("radius", 1e-9, 1e9),
            background=sphere.vec3("background", 0.0, 1.0),
            settings=settings,
            history=read_history(report.record("history")),
            report={k: v for k, v in report.data.items() if k not in _APART},
        )
        reach = float(np.abs(made.mesh.vertices - made.center).max()) / made.radius
        if not 1e-3 <= reach <= 2:
            raise TrainingError(
                f"the mesh reaches to {reach:g} radii of the sphere that {REPORT} names",
                where=folder,
                remedy=_AGAIN,
            )
        check_files(folder, report)  # again: a run may have written while we read
        return made


_APART = ("files", "sphere", "settings", "history")


def sha256(path: Path) -> str:
    """Of a file of a reconstruction; TrainingError where it can't be read, or is too large."""
    check_file(path, error=TrainingError, remedy=_AGAIN, most=MAX_TENSORS)
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error, error=TrainingError, remedy=_AGAIN) from error


def check_files(folder: Path, report: Record, names: tuple[str, ...] = FILES) -> None:
    """Raise TrainingError unless the files are those that the report was written for.

    Reports of older versions hold no checksums; their files are taken as they are.
    """
    if "files" not in report:
        logging.getLogger(__name__).info("%s: an older result, without checksums", folder)
        return
    sums = report.record("files")
    for name in names:
        there = name != REPORT and (folder / name).exists()
        if there and (name not in sums or sums.text(name) != sha256(folder / name)):
            raise TrainingError(
                f"was changed, or is of another run than {REPORT}",
                where=folder / name,
                remedy=f"{_AGAIN} If a run is writing here, wait for it.",
            )


def _check_report(report: Record) -> None:
    """The types of what a report tells besides settings, sphere and history."""
    fields: tuple[tuple[Callable[[str], Any], str], ...] = (
        (report.text, "privhead_nb torch python profile device data input unit baseline masks"),
        (report.whole, "seed threads size neutral_views sensitive_views"),
        (lambda name: report.number(name, 0.0), "seconds_total peak_memory_mb"),
        (lambda name: report.number(name, 0.0, 1.0), "linear_light"),
    )
    for read, names in fields:
        for name in names.split():
            if name in report:
                read(name)
    if "seconds" in report:
        read_seconds(report.record("seconds"))
