"""Are real people recognised in what a learned inversion paints of their moduli? Asked of dlib.

The U-Net of the lab learns twenty people's faces, and paints the other twenty from their moduli.
Where HOG finds no face, dlib is given the place where faces usually are, for who released a
face knows where it is; failures are counted beside.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks.studies import dlib_recogniser
from benchmarks.studies.real_faces_data import RealFaces
from privhead_nb.errors import LabError
from privhead_nb.lab.attacks.learned_inversion import Painting, learned_inversion
from privhead_nb.lab.attacks.no_attack import as_grey
from privhead_nb.lab.comparison import Comparison, Ints
from privhead_nb.lab.faces import FaceDataset
from privhead_nb.lab.intervals import share
from privhead_nb.lab.protocol import rank_hits
from privhead_nb.lab.recognisers import published
from privhead_nb.lab.recognisers.learn import Learning
from privhead_nb.lab.recognisers.published import Pixels
from privhead_nb.privacy.operators import Operator

SPLITS = 3  # of the study's five
PROBES = 4  # pictures of each person to be named; a template takes a fifth of a second
RESAMPLES = 500
PAINTING = Painting(
    steps=400,
    batch=16,
    # real people have no codes
    eyes=Learning("arcface", epochs=30, batch=32, codes=0.0),
)
"""How the U-Net is trained."""


class Eyes:
    """dlib's recogniser with a place to look at where HOG finds no face."""

    def __init__(self, usual: published.Boxes) -> None:
        self.found: list[bool] = []
        self.usual, self.hog = usual, published.dlib_hog()
        self.one = dlib_recogniser.dlib(detector=self._look)

    def _look(self, rgb: Pixels) -> published.Boxes:
        boxes = self.hog(rgb)
        self.found.append(len(boxes) > 0)
        return boxes if self.found[-1] else self.usual

    def __call__(self, pictures: Tensor, desc: str) -> tuple[Tensor, np.ndarray]:
        """Templates (N, 128) of pictures (N, H, H, 3), and in which a face was found (N,)."""
        self.found.clear()
        bar = tqdm(pictures, desc=desc, file=sys.stderr)
        vectors = torch.cat([self.one.function(x[None]) for x in bar])
        return vectors, np.array(self.found)


def usual_box(large: Tensor) -> published.Boxes:
    """(1, 4) the median of where HOG finds faces of pictures (N, H, H, 3).

    Raises:
        LabError: it finds none.
    """
    hog = published.dlib_hog()
    found = [boxes[:1] for rgb in dlib_recogniser.as_pixels(large) if len(boxes := hog(rgb))]
    if not found:
        raise LabError(
            f"HOG finds no face in {len(large)} pictures",
            where="real faces",
            remedy="Give upright faces that look at the camera.",
        )
    return np.median(np.concatenate(found), axis=0)[None]


def judged(
    faces: RealFaces,
    splits: Sequence[tuple[Ints, Ints, Ints]],
    painting: Painting = PAINTING,
    probes: int = PROBES,
) -> dict[str, Any]:
    """What dlib says of pictures, moduli and guesses of the tested people, by what was shown.

    Args:
        faces: all pictures.
        splits: rows that the attacker learns, of the gallery (pictures), and to be named.
        painting: how the U-Net is trained.
        probes: of each person that are looked at.
    """
    eyes, operator = Eyes(usual_box(faces.large[splits[0][0]])), Operator()
    moduli = operator.protect(faces.small)
    shown = {
        "pictures, 256 pixels": faces.large,
        "pictures, 64 pixels": faces.small,
        "moduli": as_grey(moduli, operator),
        "moduli, dark on light": as_grey(moduli, operator, inverted=True),
    }
    rows: dict[str, list[tuple[Comparison, np.ndarray]]] = {k: [] for k in (*shown, "inverted")}
    for number, (learn, gallery, others) in enumerate(splits):
        asked = np.concatenate(
            [others[faces.who[others] == p][:probes] for p in np.unique(faces.who[others])]
        )
        data = FaceDataset.of_pictures(
            torch.from_numpy(faces.who[learn]),
            torch.ones(len(learn), dtype=torch.long),
            faces.small[learn].mul(255).round().byte(),
        )
        attack = learned_inversion(data, operator, eyes.one, painting.seeded(number), progress=True)
        if attack.picture is None:
            raise AssertionError("an inversion paints pictures")
        guesses = attack.picture(moduli[asked])
        known, _ = eyes(faces.large[gallery], f"gallery {number}")
        for name in rows:
            pictures = guesses if name == "inverted" else shown[name][asked]
            vectors, found = eyes(pictures, f"{name} {number}")
            distance = torch.cdist(vectors.double(), known.double()).numpy()
            rows[name].append((Comparison(-distance, faces.who[asked], faces.who[gallery]), found))
    limit = eyes.one.threshold.threshold if eyes.one.threshold is not None else np.nan
    return {"splits": len(splits)} | {name: _rates(found, limit) for name, found in rows.items()}


def _rates(found: Sequence[tuple[Comparison, np.ndarray]], limit: float) -> dict[str, list[float]]:
    """Rates over splits, with the place given where no face was found, and with those as misses."""
    whose = np.concatenate([c.probe for c, _ in found])
    seen = np.concatenate([s for _, s in found])
    hits = np.concatenate([rank_hits(c, (1,))[0] for c, _ in found])
    distance = [-c.similarity for c, _ in found]
    own = np.concatenate([d[c.mated] for d, (c, _) in zip(distance, found, strict=True)])
    wrong = [(d <= limit) & ~c.mated for d, (c, _) in zip(distance, found, strict=True)]
    false = np.concatenate([w.sum(1) / (w.shape[1] - 1) for w in wrong])
    rates = {
        "detected": share(seen, whose, resamples=RESAMPLES),
        "rank1": share(hits, whose, resamples=RESAMPLES),
        "rank1_if_detected_only": share(hits * seen, whose, resamples=RESAMPLES),
        "verified": share(own <= limit, whose, resamples=RESAMPLES),
        "verified_if_detected_only": share((own <= limit) & seen, whose, resamples=RESAMPLES),
        "strangers_verified": share(false, whose, resamples=RESAMPLES),
    }
    return {k: [round(x, 4) for x in (v.value, v.low, v.high)] for k, v in rates.items()}
