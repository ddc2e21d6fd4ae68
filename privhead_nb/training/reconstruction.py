"""What training gives back: the field, its meshes, and the record of how it came about."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from privhead_nb.errors import TrainingError
from privhead_nb.field.model import HeadModel
from privhead_nb.files import atomic_file, write_json
from privhead_nb.geometry.mesh import Mesh
from privhead_nb.render.volume import Rendered, render_view
from privhead_nb.scenes.camera import Cameras
from privhead_nb.training.batches import camera_rays, unit_cameras
from privhead_nb.training.profiles import Profile

FILES = ("mesh.ply", "stage1.ply", "field.safetensors", "report.json")


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
    history: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)

    def render(self, cameras: Cameras, view: int = 0) -> Rendered:
        """Render one view: colour (H, W, 3), opacity, depth (scene unit) and normals.

        Args:
            cameras: cameras in the scene's unit.
            view: which of them.
        """
        device = next(self.model.parameters()).device
        height, width = cameras.height, cameras.width
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        xy = torch.stack([x, y], -1).reshape(-1, 2).to(device)
        unit = unit_cameras(cameras[view], self.center, self.radius)
        rays = camera_rays(unit, torch.zeros(len(xy), dtype=torch.long, device=device), xy)
        background = torch.tensor(self.background, device=device)
        flat = render_view(self.model, rays, background, self.settings.render)
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

        Raises:
            OutputError: the disk says no.
        """
        folder = Path(folder)
        with atomic_file(folder / "field.safetensors") as aside:
            tensors = {k: v.detach().cpu().contiguous() for k, v in self.model.state_dict().items()}
            save_file(tensors, aside)
            aside.chmod(0o644)  # the library makes it readable to its owner alone
        if self.stage1_mesh is not None:
            self.stage1_mesh.save(folder / "stage1.ply")
        self.mesh.save(folder / "mesh.ply")
        sphere = {"center": self.center, "radius": self.radius, "background": self.background}
        write_json(
            folder / "report.json",
            self.report
            | {
                "sphere": sphere,
                "settings": self.settings.to_dict(),
                "history": self.history,
            },
        )

    @classmethod
    def load(cls, folder: str | Path) -> Reconstruction:
        """Read a folder that `save` wrote.

        Raises:
            TrainingError: a file is missing, broken, or does not fit the others.
        """
        folder = Path(folder)
        for name in ("report.json", "field.safetensors", "mesh.ply"):
            if not (folder / name).is_file():
                raise TrainingError(
                    f"there is no {name}",
                    where=folder,
                    remedy="Name the folder that `privhead reconstruct` wrote, after it finished.",
                )
        try:
            report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
            settings = Profile.from_dict(report.pop("settings"))
            sphere, history = report.pop("sphere"), report.pop("history")
            model = HeadModel(settings.field)
            model.load_state_dict(load_file(folder / "field.safetensors"))
        except (
            KeyError,
            TypeError,
            ValueError,
            RuntimeError,
            AttributeError,
            SafetensorError,
        ) as error:
            raise TrainingError(
                f"is not a whole reconstruction ({error})",
                where=folder,
                remedy="Run `privhead reconstruct` again.",
            ) from error
        stage1 = folder / "stage1.ply"
        return cls(
            model=model,
            mesh=Mesh.load(folder / "mesh.ply"),
            stage1_mesh=Mesh.load(stage1) if stage1.is_file() else None,
            center=tuple(sphere["center"]),
            radius=sphere["radius"],
            background=tuple(sphere["background"]),
            settings=settings,
            history=history,
            report=report,
        )
