"""The paper's tables in kind: Table 2, cosine distances, perceptual distances, transfers, swaps.

    python benchmarks/studies/tables.py perceptual          portraits only
    python benchmarks/studies/tables.py appearance          made heads, and trained fields
    python benchmarks/studies/tables.py photograph          made heads, some minutes
    python benchmarks/studies/tables.py table2 cosine       trained fields and meshes
    python benchmarks/studies/tables.py face_swap          the longest
    python benchmarks/studies/tables.py all --small        a few people, ci profile, own recognisers
    python benchmarks/studies/tables.py show                what is stored

Parts write benchmarks/results/tables.json, and swaps.png and transfer.png beside it; --small writes
the same into out/lab/tables_small/. Reconstructions are those of `reconstructed_heads.py` in
out/lab/reconstructions/PROFILE: what is there is read, what is missing is made (minutes each). All
go on where they stopped. Tested people are of the group "evaluation"; the prior of face swaps
learned from the group "defender", recognisers from the group "recogniser".
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from scipy.stats import binomtest
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.studies import (
    dlib_recogniser,
    face_swap,
    image_conditions,
    perceptual,
    swaps,
    transfers,
)
from benchmarks.studies.face_swap_network import Swapping
from benchmarks.studies.image_conditions import protected
from benchmarks.studies.reconstructed_heads import FULL_RGB, Made, make_reconstructions
from benchmarks.studies.table2 import Entry, Mean, Pictures, mean, table2
from privhead_nb.files import write_json
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import appearance, faces
from privhead_nb.lab.framing import PROBES
from privhead_nb.lab.intervals import Rate, share
from privhead_nb.lab.recognisers import Recogniser, published
from privhead_nb.lab.recognisers.learn import train_projection
from privhead_nb.lab.recognisers.stored import shipped
from privhead_nb.lab.settings import DEFAULT, setting
from privhead_nb.lab.table2 import IMAGE_CONDITIONS, SWAP_SOURCES
from privhead_nb.privacy.operators import Operator
from privhead_nb.resources import RESULTS

NEAR_FRONT = 20.0  # degrees, of views that perceptual distances compare with frontal pictures
OPERATORS = {"protected": Operator(), "protected, blur 2": Operator(blur=2.0)}


@dataclass(frozen=True)
class Study:
    """Sizes.

    Args:
        people: reconstructed and tested, the first of "evaluation".
        gallery: known people, the first of "evaluation"; those not tested calibrate thresholds, and
            some of them are actors.
        geometries, radiances: people who give a shape, and colours for each, on the generator.
        tools: how swaps are trained.
        far: FMR of the strict threshold.
        profile: of reconstructions.
        folder: where all but the results is kept.
        small: recognisers are trained here, in seconds, instead of read.
    """

    people: int = 10
    gallery: int = 100
    geometries: int = 30
    radiances: int = 5
    tools: swaps.Tools = field(default_factory=swaps.Tools)
    far: float = 1e-3
    profile: str = "cpu"
    folder: Path = field(default_factory=faces.cache_folder)
    small: bool = False

    @property
    def tested(self) -> tuple[int, ...]:
        """Who is tested."""
        return faces.people("evaluation", self.people)

    def actor(self, target: int) -> int:
        """Who plays: someone of the gallery's second half, whose people are not tested."""
        known = faces.people("evaluation", self.gallery)
        half = self.gallery // 2
        return known[half + known.index(target) % (self.gallery - half)]

    @property
    def work(self) -> Path:
        """Where this study keeps what it makes."""
        return self.folder / ("tables_small" if self.small else "tables")

    @property
    def results(self) -> Path:
        """Where results go."""
        return self.work if self.small else RESULTS


def study_of(folder: Path, people: int, small: bool) -> Study:
    """As stored; or small, of a size that CI can run: numbers then only say that all works."""
    tools = swaps.Tools(album=str(folder), folder=str(folder / "tables"))
    if not small:
        return Study(people=people, folder=folder, tools=tools)
    tiny = Swapping(steps=30, batch=4, width=8, code=24, manner=8, adapt=10)
    few = replace(tools, pair=tiny, prior=tiny, others=4, folder=str(folder / "tables_small"))
    return Study(
        people=2, gallery=8, geometries=3, radiances=2, far=0.05, profile="ci", folder=folder,
        small=True, tools=few,
    )  # fmt: skip


def gallery_faces(study: Study, workers: int | None) -> faces.FaceDataset:
    """Portraits of all known people."""
    known = faces.people("evaluation", study.gallery)
    return faces.face_dataset(
        known, faces.GALLERY, folder=study.folder, workers=workers, progress=True
    )


def recognisers(study: Study, workers: int | None) -> tuple[Recogniser, ...]:
    """The shipped ones, and dlib's where it is installed; with --small two that are trained now.

    Where dlib finds no face it is told where portraits have it: not being found is no privacy.
    """
    if not study.small:
        if not dlib_recogniser.available():
            return shipped()
        usual = dlib_recogniser.where_portraits_have_it()
        find = dlib_recogniser.or_else(published.dlib_hog(), usual)
        return (*shipped(), dlib_recogniser.dlib(detector=find))
    learned = faces.face_dataset(
        faces.people("recogniser", 8), faces.GALLERY, folder=study.folder, workers=workers
    ).views()
    return tuple(
        Recogniser(f"{kind}, tiny", train_projection(learned, kind)) for kind in ("hog", "pixels")
    )


def reconstructions(study: Study, workers: int | None) -> dict[int, dict[str, Made]]:
    """Both arms of every tested person."""
    arms = {DEFAULT: setting(DEFAULT), FULL_RGB: None}
    folder = study.folder / "reconstructions" / study.profile
    found: dict[int, dict[str, Made]] = {}
    for made in make_reconstructions(study.tested, arms, folder, study.profile, workers=workers):
        found.setdefault(made.identity, {})[made.setting] = made
    return found


def clean(known_faces: faces.FaceDataset) -> tuple[Pictures, Pictures]:
    """Views and frontal pictures of a data set."""
    views, front = known_faces.views(), known_faces.frontals()
    return Pictures(views.rgb(), views.identity), Pictures(front.rgb(), front.identity)


def seen(study: Study, workers: int | None) -> dict[int, dict[str, Tensor]]:
    """Pictures of every tested person, by name."""
    return image_conditions.see(
        reconstructions(study, workers), study.work / "kinds", workers=workers
    )


# Parts --------------------------------------------------------------------------------------------


def perceptual_part(study: Study, workers: int | None) -> dict[str, Any]:
    """Table 4 of the appendix in kind, on frontal pictures and views near to them."""
    known_faces = gallery_faces(study, workers)
    front, views = known_faces.frontals(), known_faces.views()
    near = views.only(views.yaw.abs() <= NEAR_FRONT)
    shown = {"original": (near.rgb(), front.rgb())}
    for name, operator in OPERATORS.items():
        shown[name] = (protected(near.rgb(), operator, 1), protected(front.rgb(), operator, 2))
    for name in ("original", "protected"):
        one, two = shown[name]
        shown[f"{name}, contrast stretched"] = perceptual.stretched(one), perceptual.stretched(two)
    names = () if study.small else ("triplet_cnn", "arcface_cnn")
    found = perceptual.between_people(
        shown,
        near.identity.numpy(),
        front.identity.numpy(),
        {n: perceptual.trunk(n) for n in names},
    )
    return {measure: _plain(kinds) for measure, kinds in found.items()}


def appearance_part(study: Study, workers: int | None) -> dict[str, Any]:
    """Does identity follow colours or shape?"""
    _, gallery = clean(gallery_faces(study, workers))
    known = faces.people("evaluation", study.gallery)
    mixed, own = transfers.exact_transfers(
        known, study.work / "exact", geometries=study.geometries, radiances=study.radiances,
        workers=workers,
    )  # fmt: skip
    arms = reconstructions(study, workers)
    made = transfers.field_transfers(arms, study.work / "fields", workers=workers)
    found: dict[str, Any] = {}
    for one in recognisers(study, workers):
        g, _ = one.embed(gallery.rgb)
        itself = (1 - one.embed(own.rgb)[0] @ g.T)[own.geometry[:, None] == gallery.identity]
        part = {"own shape and colours": _plain(mean(itself, own.geometry))}
        for name, m in {"generator": mixed, **made}.items():
            near = appearance.nearer(
                one.embed(m.rgb)[0], m.geometry, m.radiance, g, gallery.identity
            )
            both = (m.geometry.numpy(), m.radiance.numpy())
            part[name] = {
                "to_geometry": _plain(mean(near.to_geometry, *both)),
                "to_radiance": _plain(mean(near.to_radiance, *both)),
                "radiance_nearer": _plain(share(near.radiance_nearer, *both)),
                "named_geometry": _plain(share(near.named == m.geometry, *both)),
                "named_radiance": _plain(share(near.named == m.radiance, *both)),
            }
        found[one.name] = part
    transfers.draw(own, {"generator": mixed, **made}, study.results / "transfer.png")
    return found


def photograph_part(study: Study, workers: int | None) -> dict[str, Any]:
    """Whose mesh does a forger with one photograph need?"""
    known = faces.people("evaluation", 6 if study.small else 30)
    how: dict[str, Any] = {"tested": 2 if study.small else 20, "light": "warm", "seed": 0}
    made, gallery = transfers.photographs(known, **how)
    numbers = torch.tensor(known)
    found: dict[str, Any] = {"known": len(known), **how}
    for one in recognisers(study, workers):
        g = one.embed(gallery)[0]
        found[one.name] = {}
        for name, m in made.items():
            distance = 1 - one.embed(m.rgb)[0] @ g.T
            both = (
                m.radiance.numpy(),
                m.geometry.numpy() if name == transfers.ON_ANOTHER else None,
            )
            own = m.radiance[:, None] == numbers
            named = numbers[distance.argmin(1)]
            found[one.name][name] = {
                "to_photographed": _plain(mean(distance[own].numpy(), *both)),
                "named_photographed": _plain(share((named == m.radiance).numpy(), *both)),
                "pictures": len(m.rgb),
            }
            if name == transfers.ON_ANOTHER:
                under = (named == m.geometry).numpy()
                found[one.name][name]["named_mesh"] = _plain(share(under, *both))
    return found


def table2_part(study: Study, workers: int | None) -> dict[str, Any]:
    """Table 2 in kind, and what a figure from 31 pairs can tell."""
    return {
        "recognisers": {
            name: {kind: _plain(asdict(e)) for kind, e in asked.items()}
            for name, asked in entries(study, workers).items()
        },
        "people": study.people,
        "calibrated_on": study.gallery - study.people,
        "2_of_31": {
            method: _plain([*map(float, binomtest(2, 31).proportion_ci(method=method))])
            for method in ("wilson", "exact")
        },
    }


@cache
def entries(study: Study, workers: int | None) -> dict[str, dict[str, Entry]]:
    """Recogniser -> kind -> entry."""
    known_faces, pictures = gallery_faces(study, workers), seen(study, workers)
    views, gallery = clean(known_faces)
    apart = [i for i in gallery.identity.tolist() if i not in study.tested]
    shown = {
        kind: Pictures(
            torch.cat([p[f"probes {kind}"] for p in pictures.values()]),
            torch.tensor([i for i in pictures for _ in PROBES]),
        )
        for kind in IMAGE_CONDITIONS
    }
    return table2(
        shown,
        gallery,
        (views.only(apart), gallery.only(apart)),
        recognisers(study, workers),
        far=study.far,
    )


def cosine_part(study: Study, workers: int | None) -> dict[str, Any]:
    """Cosine distances to the person's clean picture, and to other people's."""
    return {
        name: {k: {"own": _plain(e.own), "others": _plain(e.others)} for k, e in asked.items()}
        for name, asked in entries(study, workers).items()
    }


# Face swaps ---------------------------------------------------------------------------------------


def face_swap_part(study: Study, workers: int | None) -> dict[str, Any]:
    """Is a swapped picture recognised as the target?"""
    known_faces, given = gallery_faces(study, workers), seen(study, workers)
    views, gallery = clean(known_faces)
    made = swaps.make_swaps(
        given, study.actor, lambda person: views.only([person]).rgb, study.tools, workers=workers
    )
    played = torch.cat([views.only([study.actor(i)]).rgb for i in study.tested])
    each = len(played) // len(study.tested)
    target = torch.tensor([i for i in study.tested for _ in range(each)])
    actor = torch.tensor([study.actor(int(i)) for i in target])
    scored: dict[str, Any] = {}
    for one in recognisers(study, workers):
        for kind in SWAP_SOURCES:
            for tool in swaps.SWAP_TOOLS:
                drawn = torch.cat([made[i, kind][tool] for i in study.tested])
                for name, rgb in (
                    (tool, drawn),
                    (f"{tool}, colours of the actor", face_swap.colour_matched(drawn, played)),
                ):
                    found = face_swap.score(one, rgb, target, actor, gallery)
                    part = scored.setdefault(name, {}).setdefault(kind, {})
                    part[one.name] = _plain(asdict(found))
    plays = {i: views.only([study.actor(i)]).rgb[:2] for i in study.tested[:2]}
    swaps.draw(plays, made, given, study.results / "swaps.png")
    return {"tools": scored, "people": study.people, "pictures": len(played)}


# Results ------------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    """Rates and means as [value, low, high], numbers with four digits, ready for JSON."""
    if isinstance(value, Rate | Mean | perceptual.Alike):
        value = asdict(value)
    if isinstance(value, dict):
        if {"value", "low", "high"} <= set(value):
            return value.get("why") or _plain([value["value"], value["low"], value["high"]])
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return round(float(value), 4) if isinstance(value, float) else value


PARTS = {
    "perceptual": perceptual_part,
    "appearance": appearance_part,
    "photograph": photograph_part,
    "table2": table2_part,
    "cosine": cosine_part,
    "face_swap": face_swap_part,
}


def run(study: Study, parts: list[str], workers: int | None) -> Path:
    """Parts, each stored when it is there; returns the file."""
    path = study.results / "tables.json"
    sizes = json.loads(json.dumps(asdict(study) | {"folder": None}, default=str))
    del sizes["folder"], sizes["tools"]["folder"], sizes["tools"]["album"]
    for part in parts:
        found = PARTS[part](study, workers)
        stored = json.loads(path.read_text()) if path.is_file() else {}
        size = "--small" if study.small else f"--people {study.people}"
        command = f"python benchmarks/studies/tables.py {part} {size}"
        stored[part] = {"command": command, "generator": GENERATOR_VERSION, "study": sizes, **found}
        write_json(path, stored)
    return path


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parts", nargs="+", choices=[*PARTS, "all", "show"])
    parser.add_argument("--small", action="store_true", help="a few people, in minutes")
    parser.add_argument("--people", type=int, default=10, help="how many are reconstructed")
    parser.add_argument("--folder", type=Path, default=faces.cache_folder())
    parser.add_argument("--workers", type=int, help="processes; all cores by default")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    study = study_of(asked.folder, asked.people, asked.small)
    if "show" in asked.parts:
        print((study.results / "tables.json").read_text())
    else:
        print(run(study, [*PARTS] if "all" in asked.parts else asked.parts, asked.workers))


if __name__ == "__main__":
    main()
