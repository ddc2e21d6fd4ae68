"""Train the lab's four recognisers and measure them on people that they never saw.

    python benchmarks/studies/recogniser.py                 all four
    python benchmarks/studies/recogniser.py hog_lda         one of them
    python benchmarks/studies/recogniser.py --measure       only measure the shipped ones again

Portraits are made once and kept in out/lab (PRIVHEAD_LAB names another folder). Weights go to
privhead_nb/lab/weights, figures to benchmarks/results/recognisers.json.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from privhead_nb import resources
from privhead_nb.bench.harness import cpu_name
from privhead_nb.files import write_json, write_tensors
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.lab import faces
from privhead_nb.lab.attacks import Card
from privhead_nb.lab.attacks.no_attack import by_pictures
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.picture_jobs import score
from privhead_nb.lab.recognisers import Recogniser
from privhead_nb.lab.recognisers.learn import (
    WITH_CODES,
    Learning,
    Projection,
    train_network,
    train_projection,
)
from privhead_nb.lab.recognisers.network import FaceNetwork
from privhead_nb.lab.recognisers.stored import NAMES, recogniser

RESULTS = resources.RESULTS / "recognisers.json"
TESTED_ON = 100
MUCH_OF, LITTLE_OF = 400, 1200  # people that they learned from
NETWORKS = {
    "arcface_cnn": WITH_CODES,
    "triplet_cnn": Learning("triplet", epochs=24, rate=3e-3, codes=20.0, codes_first=0.6),
}
FEATURES = {"hog_lda": "hog", "pca_lda": "pixels"}


def learning_faces() -> FaceDataset:
    """Portraits of the group "recogniser": 12 of each of MUCH_OF, then 6 of each other."""
    everyone = faces.people("recogniser", MUCH_OF + LITTLE_OF)
    much, little = (
        faces.face_dataset(some, plan, folder=faces.cache_folder(), progress=True)
        for some, plan in ((everyone[:MUCH_OF], faces.LEARNING), (everyone[MUCH_OF:], faces.MANY))
    )
    return FaceDataset.join([much.views(), little])


def train(name: str, album: FaceDataset) -> FaceNetwork | Projection:
    """One of the four."""
    if name in NETWORKS:
        return train_network(album, NETWORKS[name], progress=True)
    return train_projection(album, FEATURES[name])


def save(name: str, model: FaceNetwork | Projection, facts: dict[str, Any], path: Path) -> None:
    """Weights as half floats, facts in the header."""
    if isinstance(model, Projection):
        tensors = {"mean": model.mean.float(), "matrix": model.matrix.half()}
        facts = facts | {"kind": model.kind}
    else:
        tensors = {
            k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()
        }
        facts = facts | {"kind": "network"}
    facts = {"name": name, "generator": GENERATOR_VERSION, **facts}
    write_tensors(path, tensors, {"facts": json.dumps(facts)})


def clean(one: Recogniser, album: FaceDataset, resamples: int = 1000) -> dict[str, Any]:
    """How well unprotected probes are recognised, for each variant of the portraits."""
    card = Card(one.name, knowledge="none", data="none", cost="none", seed=0)
    found = score(by_pictures(card, lambda seen: seen, one, None, 64), album, resamples)
    names = {"rank1": "rank1", "rank5": "rank5", "eer": "eer", "tar": "tar_at_far_1e-3"}
    return {
        variant: {kept: found[variant][name] for name, kept in (names | {"auc": "auc"}).items()}
        for variant in faces.VARIANTS
    }


def main() -> None:
    """Train, store, measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(NAMES), metavar="NAME")
    parser.add_argument("--measure", action="store_true", help="train nothing")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(NAMES):
        parser.error(f"no recogniser {sorted(unknown)}; there are {', '.join(NAMES)}")
    test = faces.face_dataset(
        faces.people("evaluation", TESTED_ON),
        faces.GALLERY,
        folder=faces.cache_folder(),
        progress=True,
    )
    learn = None if asked.measure else learning_faces()
    for name in asked.names:
        results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
        told = {k: v for k, v in results.get(name, {}).items() if k in ("seconds", "cpu")}
        if learn is not None:
            began = time.perf_counter()
            model = train(name, learn)
            facts = {
                "note": f"trained on {MUCH_OF + LITTLE_OF} made people of the group recogniser",
                "command": f"python benchmarks/studies/recogniser.py {name}",
                "seed": 0,
            }
            save(name, model, facts, resources.WEIGHTS / f"{name}.safetensors")
            told = {"seconds": round(time.perf_counter() - began, 1), "cpu": cpu_name()}
            recogniser.cache_clear()
        results |= {
            "generator": GENERATOR_VERSION,
            "album": faces.FACES_VERSION,
            "people": TESTED_ON,
            "probes": len(test.views()),
            name: {**told, **clean(recogniser(name), test)},
        }
        write_json(RESULTS, results)
        print(name, json.dumps(results[name]), flush=True)


if __name__ == "__main__":
    main()
