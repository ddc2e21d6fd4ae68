"""The trained attackers that ship with the package, and which of them fits a release.

They stand in `lab/weights/attacker_NAME.safetensors`: half floats, what they learned from in the
header, and, of some, templates of the gallery's made people, so that nobody has to be photographed
first. `benchmarks/studies/informed.py` trains those that look at moduli,
`benchmarks/studies/attackers.py` the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor

from privhead_nb.errors import LabError, check_choice
from privhead_nb.lab.attacks import Attack, Card, field_renders, mesh_shape, neutral_views
from privhead_nb.lab.attacks.parrot import protected_gallery
from privhead_nb.lab.framing import resized
from privhead_nb.lab.recognisers import head_crop
from privhead_nb.lab.recognisers.stored import network_of, read_weights
from privhead_nb.lab.settings import DEFAULT, SETTINGS, nearest, setting
from privhead_nb.privacy.operators import Operator
from privhead_nb.reading import Record
from privhead_nb.resources import WEIGHTS

SOBEL64, ANY, MESH, RENDERS, NEUTRAL = "sobel64", "any", "mesh", "renders", "neutral"
ON_MODULI = (SOBEL64, ANY)
NAMES = (*ON_MODULI, MESH, RENDERS, NEUTRAL)
TEMPLATES = "templates."
"""What the names of a file's tensors begin with that are no part of a network."""
SIDE = 64  # pixels that the network of many operators looks at


@dataclass(frozen=True, eq=False)
class Trained:
    """An attacker as it ships."""

    name: str  # one of NAMES
    attack: Attack
    note: str  # what it learned from
    exact: bool = True  # whether it was trained for exactly what it looks at here
    fit: str = ""  # the same in words
    people: tuple[int, ...] = ()  # made people whose templates ship with it
    # name -> (P, D), a row for each of `people`: "gallery" as they are enrolled, "others" as they
    # look where they are the source.
    templates: dict[str, Tensor] = field(default_factory=dict)

    def rows(self, kind: str, who: Iterable[int]) -> Tensor | None:
        """The templates (N, D) of a kind of people `who`; None where one of them has none."""
        place = {person: row for row, person in enumerate(self.people)}
        numbers = [place.get(person, -1) for person in who]
        if kind not in self.templates or not numbers or min(numbers) < 0:
            return None
        return self.templates[kind][numbers]


def path_of(name: str) -> Path:
    """The file of an attacker.

    Raises:
        LabError: there is no such attacker.
    """
    check_choice("attacker", name, NAMES, where="attackers", error=LabError)
    return WEIGHTS / f"attacker_{name}.safetensors"


def command(name: str) -> str:
    """What trains an attacker again."""
    study = "informed" if name in ON_MODULI else "attackers"
    return f"python benchmarks/studies/{study}.py {name}"


@cache
def trained(name: str) -> Trained:
    """An attacker on meshes, on renders of fields or on neutral views.

    Raises:
        LabError: no such attacker, or its weights are missing, damaged or of another generator.
    """
    path, remedy = path_of(name), f"Train it again: {command(name)}"
    tensors, facts = read_weights(path, remedy)
    kept = {k.removeprefix(TEMPLATES): v for k, v in tensors.items() if k.startswith(TEMPLATES)}
    numbers = {k: v for k, v in tensors.items() if not k.startswith(TEMPLATES)}
    if name == NEUTRAL:
        if not {"mean", "matrix"} <= numbers.keys():
            raise LabError("lacks mean or matrix", where=path, remedy=remedy)
        card = _card(facts, neutral_views.PALETTE, neutral_views.KNOWLEDGE)
        mean, matrix = numbers["mean"].float(), numbers["matrix"].float()
        attack = neutral_views.by_palette(mean, matrix, card)
    elif name == MESH:
        card = _card(facts, mesh_shape.NETWORK, mesh_shape.TRUE_SCANS)
        attack = mesh_shape.by_network(network_of(numbers, path, remedy), card)
    elif name == RENDERS:
        card = _card(facts, field_renders.COLOUR_BLIND, "frontal pictures of known people")
        attack = field_renders.by_network(network_of(numbers, path, remedy), card)
    else:
        raise LabError(
            f"{name} looks at moduli: of which operator?", where="attackers", remedy="`for_release`"
        )
    people = tuple(kept.pop("people").tolist()) if "people" in kept else ()
    rows = {kind: F.normalize(values.float(), dim=1) for kind, values in kept.items()}
    if any(len(values) != len(people) for values in rows.values()):
        raise LabError("has templates without a person", where=path, remedy=remedy)
    return Trained(name, attack, _note(facts), True, "", people, rows)


def for_release(operator: Operator, size: int) -> Trained:
    """The attacker on moduli that fits an operator and a size, pixels, best.

    That is the network trained for exactly these, if there is one, else the one trained on many.

    Raises:
        LabError: no attacker can imitate the operator; or the weights are missing, damaged or of
            another generator.
    """
    if operator.downsample == "last":
        raise LabError(
            "the release was made small after its operator (downsample last), and the shipped "
            "attackers imitate operators on small pictures only",
            where="informed",
            remedy="Protect with --downsample first to learn what that gives away.",
        )
    if (operator, size) == setting(DEFAULT) and path_of(SOBEL64).is_file():
        return _informed(SOBEL64, operator, size, True, f"trained for exactly this, {DEFAULT}")
    same = [name for name in SETTINGS if setting(name) == (operator, size)]
    if same:
        fit = f"trained on {len(SETTINGS)} operators and sizes, {same[0]} among them"
        return _informed(ANY, operator, size, True, fit)
    near, unlike = nearest(operator, size)
    fit = f"trained on other operators and sizes; {near} is the nearest ({'; '.join(unlike)})"
    return _informed(ANY, operator, size, False, fit)


def _informed(name: str, operator: Operator, size: int, exact: bool, fit: str) -> Trained:
    """A network that learned moduli and the codes of other people's heads."""
    path, remedy = path_of(name), f"Train it again: {command(name)}"
    tensors, facts = read_weights(path, remedy)
    network = network_of(tensors, path, remedy)
    if network.stem.weight.shape[1] != 1:
        raise LabError("holds a network of colours, not of moduli", where=path, remedy=remedy)

    def embed(moduli: Tensor) -> Tensor:
        return network(head_crop(resized(moduli, SIDE)))

    card = _card(facts, f"informed, {name}", "the operator, the codes of other people's heads")
    return Trained(
        name, protected_gallery(embed, operator, size, card), _note(facts), exact, fit
    )  # fmt: skip


def _note(facts: Record) -> str:
    return facts.text("note") if "note" in facts else "not recorded"


def _card(facts: Record, attack: str, knowledge: str) -> Card:
    seed = facts.whole("seed", 0) if "seed" in facts else 0
    return Card(attack, knowledge, _note(facts), "none here: it ships trained", seed)


def unlike_portraits(moduli: Tensor, portraits: Tensor) -> str:
    """How released moduli (N, H, H) differ from protected portraits (M, H, H), or "".

    Both are held against each other around the head and outside, by their mean: a face before
    another background, an empty picture or noise is not what an attacker learned.
    """
    parts = []
    for pictures in (moduli, portraits):
        inner = head_crop(pictures[..., None])[:, 0].mean((1, 2))
        whole = pictures.mean((1, 2))
        parts.append((inner, (whole - 0.547 * inner).clamp_min(0)))  # a crop is 0.547 of a picture
    floor = 0.1 * float(parts[1][0].median())
    for place, seen, known in zip(("at the head", "around the head"), *parts, strict=True):
        value, low, high = float(seen.median()), float(known.amin()), float(known.amax())
        if not low / LEEWAY - floor <= value <= high * LEEWAY + floor:
            return (
                f"the mean modulus {place} is {value:.3g}, and {low:.3g} to {high:.3g} in pictures "
                "of made people"
            )
    return ""


LEEWAY = 1.6
"""How much fainter or stronger a release's moduli may be than any of the made people's."""
