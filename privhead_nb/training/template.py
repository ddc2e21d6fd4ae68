"""A template head: where stage 2 starts when no neutral view can be had (the paper's "Template").

It is a small field in unit-sphere coordinates, with or without a colour network. A head is placed
by its release's bounding sphere alone: x = (p - center) / radius, as the template's people were
placed by theirs. `make_template.py` makes templates out of made heads.

In the same form, `earlier` gives a head's own reconstruction from smaller pictures, where stage 2
goes on from.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from privhead_nb.errors import OutputError, TrainingError
from privhead_nb.field.model import FieldSettings, HeadModel
from privhead_nb.files import atomic_folder, write_json, write_tensors
from privhead_nb.geometry.mesh import Mesh, extract_mesh
from privhead_nb.reading import read_json, read_tensors
from privhead_nb.scenes.camera import AXES
from privhead_nb.targets import contents, resolved
from privhead_nb.training.checkpoint import check_tensors, check_there, fingerprint
from privhead_nb.training.profiles import read_settings
from privhead_nb.training.reconstruction import Reconstruction

if TYPE_CHECKING:
    from privhead_nb.privacy.release import Release

FORMAT, VERSION = "privhead template", 1
WORDS, NUMBERS = "template.json", "template.safetensors"
_AGAIN = "Make it again with `privhead template`."
LEVELS = 2  # of a grid field that a template has
_SAME = (
    "kind", "channels", "max_entries", "width", "depth", "degree", "features", "frequencies",
    "sphere",
)  # fmt: skip
_SAME_COLOUR = ("colour_width", "colour_depth", "view_frequencies")
_PARTS = ("field.", "colour.")
_SAID = ("made", "center", "radius", "unit", "up", "front", "fingerprint")


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
    def what(self) -> str:
        """What it is called in errors."""
        return "start" if self.made.get("kind") == "reconstruction" else "template"

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
        names = (*_SAME, *(_SAME_COLOUR if self.coloured else ()))
        found = [
            f"{name} is {getattr(self.settings, name)} in the {self.what}, "
            f"{getattr(settings, name)} in the profile"
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
                where=self.what,
                remedy="Reconstruct the smaller release again, with `cpu`."
                if self.what == "start"
                else "Make one for it: privhead template OUT --profile ...",
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
        here = {p.name for p in contents(resolved(target))} if target.is_dir() else set()
        foreign = here - {WORDS, NUMBERS}
        if overwrite and foreign:
            raise OutputError(
                f"holds {min(foreign)}, which is no template, and isn't replaced",
                where=target,
                remedy="Name a new folder, or remove what it holds yourself.",
            )
        words = {"format": FORMAT, "version": VERSION}
        words |= {name: getattr(self, name) for name in _SAID} | {"field": asdict(self.settings)}
        with atomic_folder(target, overwrite=overwrite) as aside:
            write_tensors(aside / NUMBERS, self.state)
            write_json(aside / WORDS, words)

    @classmethod
    def load(cls, folder: str | Path) -> Template:
        """Read a folder that `save` wrote.

        Raises:
            TrainingError: a file is missing or broken, or the two don't belong together.
        """
        folder = Path(folder)
        check_there(folder, (WORDS, NUMBERS), "Name a folder that `privhead template` wrote.")
        path = folder / WORDS
        words = read_json(path, error=TrainingError, remedy=_AGAIN)
        if (words.text("format"), words.whole("version")) != (FORMAT, VERSION):
            raise TrainingError(
                f"is {words.text('format')!r}, version {words.whole('version')}",
                where=path,
                remedy=f"This package reads {FORMAT!r}, version {VERSION}.",
            )
        state, _ = read_tensors(folder / NUMBERS, error=TrainingError, remedy=_AGAIN)
        made = cls(
            settings=read_settings(FieldSettings, words.record("field")),
            state=state,
            made=words.record("made").data,
            center=words.vec3("center", -1e9, 1e9),
            radius=words.number("radius", 1e-9, 1e9),
            unit=words.text("unit"),
            up=words.text("up", AXES),
            front=words.text("front", AXES),
        )
        parts = _PARTS if made.coloured else _PARTS[:1]
        whole = HeadModel(made.settings).state_dict()
        wanted = {name: value for name, value in whole.items() if name.startswith(parts)}
        check_tensors(state, wanted, folder / NUMBERS, _AGAIN)
        if made.fingerprint != words.text("fingerprint"):
            raise TrainingError(
                f"the numbers are not those that {WORDS} was written for",
                where=folder / NUMBERS,
                remedy=_AGAIN,
            )
        return made


def template_settings(settings: FieldSettings) -> FieldSettings:
    """The field of a template for models of these settings: a grid loses its fine levels.

    A mean of several people has no detail for them: with 12 and 24 points a side the mean of ten
    heads is met within half a millimetre, in a quarter of a megabyte.
    """
    if settings.kind != "grid":
        return settings
    return replace(settings, resolutions=settings.resolutions[:LEVELS])


def earlier(made: Reconstruction | str | Path, release: Release) -> Template:
    """A reconstruction, or its folder, as the start of a finer one of the same head.

    Raises:
        TrainingError: it is broken, or its bounding sphere isn't the release's, so that it would be
            put in another place.
    """
    found = made if isinstance(made, Reconstruction) else Reconstruction.load(made)
    ours, theirs = (*found.center, found.radius), (*release.center, release.radius)
    if not np.allclose(ours, theirs, rtol=0, atol=1e-5 * release.radius):
        raise TrainingError(
            f"its bounding sphere (center and radius {_numbers(ours)}) isn't the release's "
            f"({_numbers(theirs)})",
            where="start" if isinstance(made, Reconstruction) else made,
            remedy="Start from a reconstruction of the same scene, protected with another --size.",
        )
    state = found.model.state_dict()
    return Template(
        settings=found.settings.field,
        state={n: v.detach().clone() for n, v in state.items() if n.startswith(_PARTS)},
        made={"kind": "reconstruction", "size": found.report.get("size")},
        center=found.center,
        radius=found.radius,
        unit=release.unit,
        up=release.up,
        front=release.front,
    )


def _numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.4g}" for value in values)


def as_template(template: Template | str | Path | None) -> Template | None:
    """A template as it is, or read from its folder."""
    return Template.load(template) if isinstance(template, (str, Path)) else template
