"""A template head: where stage 2 starts when no neutral view can be had (the paper's "Template").

It is a small field in unit-sphere coordinates, with or without a colour network. A head is placed
by its release's bounding sphere alone: x = (p - center) / radius, as the template's people were
placed by theirs. `make_template.py` makes templates out of made heads.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from privhead_nb.errors import OutputError, TrainingError
from privhead_nb.field.model import FieldSettings, HeadModel
from privhead_nb.files import atomic_folder, write_json
from privhead_nb.geometry.mesh import Mesh, extract_mesh
from privhead_nb.training.checkpoint import fingerprint

if TYPE_CHECKING:
    from privhead_nb.privacy.released import Release

FORMAT, VERSION = "privhead template", 1
WORDS, NUMBERS = "template.json", "template.safetensors"
LEVELS = 2  # of a grid field that a template has
_SIZES = (
    "kind",
    "channels",
    "max_entries",
    "width",
    "depth",
    "features",
    "frequencies",
    "sphere",
)
_COLOUR = ("colour_width", "colour_depth", "view_frequencies")


@dataclass(frozen=True, eq=False)
class Template:
    """A head that belongs to nobody, as a field.

    Attributes:
        settings: of its field; see `fits`.
        state: numbers by their names in `HeadModel`: "field....", and "colour...." where it has
            colours.
        made: how it was made: kind, identities, seed, versions.
        center: mean centre of its people's bounding spheres, scene unit; to look at it alone.
        radius: mean radius of them, scene unit.
        unit: name of the scene unit.
        up: axis towards the crown.
        front: axis that the face looks along.
    """

    settings: FieldSettings
    state: dict[str, Tensor]
    made: dict[str, Any] = field(default_factory=dict)
    center: tuple[float, float, float] = (0.0, 0.0, 0.0)
    radius: float = 1.0
    unit: str = "mm"
    up: str = "+y"
    front: str = "+z"

    @property
    def coloured(self) -> bool:
        """Whether it holds a colour network, too."""
        return any(name.startswith("colour.") for name in self.state)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of its numbers, so that a run is resumed with the template it began with."""
        return fingerprint(*(self.state[name] for name in sorted(self.state)))

    def model(self) -> HeadModel:
        """The template as a model of its own; without colours its colour network is untrained."""
        model = HeadModel(self.settings)
        model.load_state_dict(self.state, strict=False)
        return model.eval()

    def mesh(self, resolution: int = 128) -> Mesh:
        """Its surface, in its own mean sphere, scene unit."""
        return extract_mesh(self.model().sdf, self.center, self.radius, resolution=resolution)

    def faults(self, settings: FieldSettings) -> list[str]:
        """Why a model of these settings can't start from it, in words; empty where it can.

        A feature grid may have more levels than the template's, behind them: those start from
        nothing, as they always do. So one small template serves the ci, cpu and gpu profiles.
        """
        names = (*_SIZES, *(_COLOUR if self.coloured else ()))
        found = [
            f"{name} is {getattr(self.settings, name)} in the template, {getattr(settings, name)} "
            "in the profile"
            for name in names
            if getattr(self.settings, name) != getattr(settings, name)
        ]
        ours, theirs = self.settings.resolutions, settings.resolutions
        if settings.kind == "grid" and theirs[: len(ours)] != ours:
            found.append(f"its grid levels {ours} don't start the profile's {theirs}")
        return found

    def start(self, model: HeadModel) -> None:
        """Give a model the template's numbers; finer grid levels keep their own.

        Raises:
            TrainingError: the model is of another make.
        """
        faults = self.faults(model.settings)
        if faults:
            raise TrainingError(
                f"doesn't fit this profile: {'; '.join(faults)}",
                where="template",
                remedy="Make one for it: privhead template OUT --profile ...",
            )
        own = model.state_dict()
        with torch.no_grad():
            for name, value in self.state.items():
                # The template's levels and their columns come first: a corner of a larger tensor.
                corner = tuple(slice(0, n) for n in value.shape)
                own[name][corner] = value.to(own[name])

    def check_axes(self, release: Release) -> None:
        """Raises TrainingError where the release's head looks another way than the template."""
        if (release.up, release.front) != (self.up, self.front):
            raise TrainingError(
                f"looks along {self.front} with its crown at {self.up}, the release's head along "
                f"{release.front} with its crown at {release.up}",
                where="template",
                remedy="Turn the scene's cameras, say so in its scene.json, and protect it again.",
            )

    def save(self, folder: str | Path, overwrite: bool = False) -> None:
        """Write template.safetensors and template.json, both or neither.

        Raises:
            OutputError: the folder holds something and `overwrite` is false, or something that is
                no template, or can't be written.
        """
        target = Path(folder)
        foreign = target.is_dir() and any(target.iterdir()) and not (target / WORDS).is_file()
        if overwrite and foreign:
            raise OutputError(
                "holds something that is no template, and won't be replaced",
                where=target,
                remedy="Name a new folder, or remove this one yourself.",
            )
        words = {
            "format": FORMAT,
            "version": VERSION,
            "made": self.made,
            "center": self.center,
            "radius": self.radius,
            "unit": self.unit,
            "up": self.up,
            "front": self.front,
            "fingerprint": self.fingerprint,
            "field": asdict(self.settings),
        }
        with atomic_folder(target, overwrite=overwrite) as aside:
            save_file({k: v.contiguous() for k, v in self.state.items()}, aside / NUMBERS)
            (aside / NUMBERS).chmod(0o644)  # the library makes it readable to its owner alone
            write_json(aside / WORDS, words)

    @classmethod
    def load(cls, folder: str | Path) -> Template:
        """Read a folder that `save` wrote.

        Raises:
            TrainingError: a file is missing or broken, or the two don't belong together.
        """
        folder = Path(folder)
        for name in (WORDS, NUMBERS):
            if not (folder / name).is_file():
                raise TrainingError(
                    f"there is no {name}",
                    where=folder,
                    remedy="Name a folder that `privhead template` wrote.",
                )
        try:
            words = json.loads((folder / WORDS).read_text(encoding="utf-8"))
            if (words["format"], words["version"]) != (FORMAT, VERSION):
                raise ValueError(f"it is {words['format']!r}, version {words['version']}")
            made = cls(
                settings=FieldSettings(**words["field"]),
                state=load_file(folder / NUMBERS),
                made=words["made"],
                center=tuple(words["center"]),
                radius=float(words["radius"]),
                unit=words["unit"],
                up=words["up"],
                front=words["front"],
            )
            if made.fingerprint != words["fingerprint"]:
                raise ValueError("the numbers are not those that template.json was written for")
            missing, surplus = HeadModel(made.settings).load_state_dict(made.state, strict=False)
            if surplus or any(name.startswith("field.") for name in missing):
                raise ValueError("the numbers are not those of its field")
        except (
            AttributeError,
            KeyError,
            RuntimeError,
            SafetensorError,
            TypeError,
            ValueError,
        ) as error:
            raise TrainingError(
                f"is not a whole template ({error})",
                where=folder,
                remedy="Make it again with `privhead template`.",
            ) from error
        return made


def template_settings(settings: FieldSettings) -> FieldSettings:
    """The field of a template for models of these settings: a grid loses its fine levels.

    A mean of several people has no detail for them: with 12 and 24 points a side the mean of ten
    heads is met within half a millimetre, in a quarter of a megabyte.
    """
    if settings.kind != "grid":
        return settings
    return replace(settings, resolutions=settings.resolutions[:LEVELS])


def as_template(template: Template | str | Path | None) -> Template | None:
    """A template as it is, or read from its folder."""
    return Template.load(template) if isinstance(template, (str, Path)) else template
