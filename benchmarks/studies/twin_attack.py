"""The attacker of `beyond_shape.py`: one network for each way to protect, trained on twins.

It learns from the group "attacker": on some shapes the network, on further ones what the network's
vectors mean. Portraits of twins and the networks that others go on from are kept in out/lab.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from benchmarks.studies.colour_reader import Protect, Reader, ReaderLearning, learn_reader
from benchmarks.studies.face_colours import ColourSpace, face_colours
from benchmarks.studies.twin_scores import (
    Likelihood,
    Vectors,
    colours_from,
    error_removed,
    first_of_each,
    named,
)
from benchmarks.studies.twins import (
    BEHIND,
    FRONTAL,
    LEARNING,
    NEUTRAL,
    TESTED,
    TWINS_VERSION,
    VIEW,
    Twins,
    twins,
)
from privhead_nb.files import write_tensors
from privhead_nb.lab import faces
from privhead_nb.lab.faces import read_kept
from privhead_nb.lab.framing import resized
from privhead_nb.lab.jobs import safe_name
from privhead_nb.lab.recognisers.network import FaceNetwork, restore
from privhead_nb.privacy.operators import Operator

NOISE_DRAWS = 4  # protected copies of a gallery picture


@dataclass(frozen=True)
class Study:
    """Sizes."""

    groups: int = 10  # of twins that are tested
    learned: int = 32  # shapes that the network learns from
    calibrated: int = 10  # further shapes: what its vectors mean is learned from these
    reader: ReaderLearning = field(default_factory=ReaderLearning)
    further: int = 150  # steps of a network that goes on from the default operator's
    clear: int = 200  # steps of one that sees colours, which is easier


@dataclass(frozen=True, eq=False)
class Looked:
    """Vectors of a trained network: of the attacker's held-out twins, and of those tested."""

    held: Vectors
    coordinates: Tensor  # (P, K) colours of the held-out twins, in order of their numbers
    probes: dict[str, Vectors]  # by variant
    gallery: dict[str, Vectors]  # by variant, one vector a twin
    codes: Tensor  # (T, 24) true albedo codes of the tested, in order of their numbers
    space: ColourSpace
    group: str

    def figures(self) -> dict[str, Any]:
        """What `beyond_shape` returns, but the time."""
        likelihood = Likelihood.learned(self.held)

        def told(variant: str, **how: bool) -> dict[str, Any]:
            return named(self.probes[variant], self.gallery[variant], likelihood, **how)

        guess = colours_from(self.held, self.coordinates)
        mean = self.probes["whole"].each()
        coordinates = guess(mean.values)
        whole = error_removed(coordinates, self.codes, mean.shape, self.space)
        null = error_removed(coordinates, self.codes, mean.shape, self.space, shuffled=True)
        return told("whole") | {
            "hair_masked": told("hair masked"),
            "albedo": whole,
            "controls": {
                "one_albedo": told("one albedo")["together"]["rank1"],
                "shuffled": told("whole", shuffled=True)["together"]["rank1"],
                "shuffled_albedo": null["removed"],
            },
            "chance": round(1 / TESTED.twins, 4),
            "twins": len(mean.identity),
            "groups": len(mean.shape.unique()),
            "of": self.group,
        }


def look(reader: Reader, group: str, study: Study, *, behind: bool = False) -> Looked:
    """What a trained network sees of the attacker's held-out twins and of those tested.

    With `behind` it looks at neutral views, held against pictures from behind, instead of views of
    the face against frontal ones.
    """
    everyone, space, coordinates = attacker(study)
    random = torch.Generator().manual_seed(study.reader.seed + 1)
    probe, known = (NEUTRAL, BEHIND) if behind else (VIEW, FRONTAL)

    def vectors(data: Twins, variant: str, copies: int = 1) -> Vectors:
        pictures = data.rgb(variant)
        values = torch.stack([reader.embed(pictures, random) for _ in range(copies)]).mean(0)
        return Vectors(values, data.identity, data.shape)

    rows = ~learned_from(everyone, study) & (everyone.role == probe)
    held, of_held = everyone.only(rows), coordinates[rows]
    tested = victims(group, study)
    asked, enrolled = tested.only(tested.role == probe), tested.only(tested.role == known)
    return Looked(
        held=vectors(held, "whole"),
        coordinates=of_held[first_of_each(held.identity)],
        probes={v: vectors(asked, v) for v in faces.VARIANTS},
        gallery={v: vectors(enrolled, v, NOISE_DRAWS).each() for v in faces.VARIANTS},
        codes=asked.albedo[first_of_each(asked.identity)],
        space=space,
        group=group,
    )


def learned_from(everyone: Twins, study: Study) -> Tensor:
    """(N,) bool: the twins that networks learn from; the others are held out."""
    return torch.isin(everyone.shape, torch.unique(everyone.shape)[: study.learned])


def trained(
    protect: Operator | Callable[..., Tensor] | None,
    size: int,
    study: Study,
    *,
    behind: bool = False,
    progress: bool = False,
) -> Reader:
    """The attacker's network for one way to protect; `behind`: for neutral views instead.

    All that release one channel, the default too, go on from a network that learned the default:
    a call then costs less, and a weak signal does not leave the attacker where it began. That one,
    and those for the default, for colours and for neutral views, are kept.
    """
    everyone, _, coordinates = attacker(study)
    roles = [NEUTRAL, BEHIND] if behind else [VIEW]
    rows = learned_from(everyone, study) & torch.isin(everyone.role, torch.tensor(roles))
    others, targets, released = everyone.only(rows), coordinates[rows], as_protect(protect, size)

    def kept(name: str, shown: Protect, steps: int, start: FaceNetwork | None = None) -> Reader:
        made_of = f"{name} {study.learned} {study.calibrated} {study.reader} {TWINS_VERSION}"
        path = faces.cache_folder() / f"reader_{safe_name(f'{made_of} {steps}')}"
        how = replace(study.reader, steps=steps)
        if not path.is_file():
            made = learn_reader(others, shown, targets, how, start=start, progress=progress)
            write_tensors(path, made.network.state_dict())
        state = read_kept(path)
        network = FaceNetwork(state["stem.weight"].shape[1])
        restore(network, state, path)
        return learn_reader(others, shown, targets, replace(how, steps=0), start=network)

    if protect is None:
        return kept("behind" if behind else "colours", released, study.clear)
    if released(others.rgb()[:1], torch.Generator()).dim() == 4:
        return learn_reader(others, released, targets, study.reader, progress=progress)
    base = kept("default", as_protect(Operator(), 64), study.reader.steps).network
    if size == 64 and protect == Operator():
        return kept("default, further", released, study.further, base)
    further = replace(study.reader, steps=study.further)
    return learn_reader(others, released, targets, further, start=base, progress=progress)


def as_protect(protect: Operator | Callable[..., Tensor] | None, size: int) -> Protect:
    """Any way to protect, as colours and a generator -> what is released, without gradients."""
    function: Callable[..., Tensor] = torch.clone if protect is None else protect  # type: ignore
    if isinstance(protect, Operator):
        function = protect.protect
    drawn = protect is not None and len(signature(function).parameters) > 1

    @torch.no_grad()
    def released(colours: Tensor, random: torch.Generator) -> Tensor:
        small = resized(colours, size)
        return function(small, random) if drawn else function(small)

    return released


@lru_cache(maxsize=1)
def attacker(study: Study) -> tuple[Twins, ColourSpace, Tensor]:
    """The attacker's twins, the space of their colours, and each row's place in it."""
    who = faces.people("attacker", study.learned + study.calibrated)
    everyone = twins(who, LEARNING, folder=faces.cache_folder(), workers=1, progress=True)
    row = torch.unique(everyone.identity, return_inverse=True)[1]
    colours = face_colours(everyone.albedo[first_of_each(everyone.identity)])
    space = ColourSpace.of(colours)
    return everyone, space, space.coordinates(colours)[row]


def victims(group: str, study: Study) -> Twins:
    """The twins that are tested."""
    who = faces.people(group, study.groups)
    return twins(who, TESTED, folder=faces.cache_folder(), workers=1, progress=True)
