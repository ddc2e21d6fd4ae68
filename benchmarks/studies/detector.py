"""What a face detector finds in released moduli: operators x sizes x two ways of drawing.

    python benchmarks/studies/detector.py

writes benchmarks/results/detectors.json and portraits.png, person by person; run again, it goes on
where it stopped. Nothing is downloaded. Forty made people from the front, and from behind, where
each box is a false alarm. About ten minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy.stats import binomtest
from tqdm import tqdm

from privhead_nb.files import atomic_file, write_json
from privhead_nb.heads.codes import GENERATOR_VERSION
from privhead_nb.heads.grid import sample_grid
from privhead_nb.heads.head import make_head
from privhead_nb.heads.tracer import render
from privhead_nb.privacy.operators import KINDS, Operator
from privhead_nb.resources import RESULTS
from privhead_nb.scenes.camera import custom_rig
from privhead_nb.scenes.images import resize_area, to_uint8
from privhead_nb.teach import results
from privhead_nb.teach.lesson03 import detector

IDENTITIES = tuple(range(300, 340))
SIZES = (256, 64)
SOBEL_SIZES = (256, 128, 64, 48, 32, 24, 16)
GRID_MM = 2.5  # where a ray starts its exact steps

TREATMENTS: dict[str, Operator | None] = {"photo": None} | {kind: Operator(kind) for kind in KINDS}
TREATMENTS |= {
    "sobel 7 x 7": Operator(kernel_size=7),
    "sobel, luma": Operator(per_channel=False),
    "sobel, blur 2": Operator(blur=2.0),
    "sobel, noise 0.05": Operator(noise=0.05),
    "sobel, noise 0.2": Operator(noise=0.2),
    "sobel, 16 levels": Operator(levels=16),
    "sobel, 8 levels": Operator(levels=8),
    "sobel, 4 levels": Operator(levels=4),
}


def wilson(found: int, tried: int) -> results.Interval:
    """A share with Wilson's 95 % interval."""
    low, high = binomtest(int(found), int(tried)).proportion_ci(method="wilson")
    return results.Interval(found / tried, low, high, tried)


def plan() -> list[dict[str, Any]]:
    """The rows of the table, empty."""
    out = []
    for name, operator in TREATMENTS.items():
        for size in SOBEL_SIZES if name in ("photo", "sobel") else SIZES:
            for lines in ("photo",) if operator is None else detector.LINES:
                settings = None if operator is None else operator.to_dict()
                out.append({"treatment": name, "size": size, "lines": lines, "operator": settings})
    return out


def portraits_of(identity: int, *, samples: int = 3) -> tuple[detector.Portrait, detector.Portrait]:
    """Front and back of a made head, from 900 mm in studio light, on white."""
    head = make_head(identity)
    eyes = [(0.0, -5.0, 900.0), (0.0, -5.0, -900.0)]
    cameras, _, _ = custom_rig(
        eyes, [0], target=(0.0, -20.0, 0.0), size=detector.SIDE, fov_deg=21.0
    )
    grid = sample_grid(head.sdf, GRID_MM, coarse=3)
    front, back = render(head, cameras, samples=samples, grid=grid).images.numpy()
    x, y = cameras.project(head.nose_tip()[None])[0][0, 0].tolist()
    name = f"made head {identity}"
    return (
        detector.Portrait(front, (round(x, 1), round(y, 1)), name),
        detector.Portrait(back, None, name),
    )


def shown(portrait: detector.Portrait, row: dict[str, Any], seed: int) -> detector.Picture:
    """What the detector is shown for a row of the table."""
    operator, size = TREATMENTS[row["treatment"]], row["size"]
    if operator is None:
        return resize_area(portrait.picture, size, size)
    return detector.drawing(detector.released(portrait.picture, operator, size, seed), row["lines"])


def run(out: Path, identities: tuple[int, ...] = IDENTITIES, samples: int = 3) -> dict[str, Any]:
    """Look at all people who are not in the stored table yet; store after each."""
    path, sheet_path = out / "detectors.json", out / "portraits.png"
    head = {
        "command": "python benchmarks/studies/detector.py",
        "detector": "scikit-image's LBP cascade, frontal faces",
        "generator_version": GENERATOR_VERSION,
        "side": detector.SIDE,
        "samples": samples,
        "identities": list(identities),
    }
    rows = [row | {"found": "", "alarms": ""} for row in plan()]
    table: dict[str, Any] = head | {"noses": [], "rows": rows}
    stored = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    wanted = [{k: r[k] for k in ("treatment", "size", "lines", "operator")} for r in rows]
    have = [{k: r[k] for k in wanted[0]} for r in stored.get("rows", [])]
    if all(stored.get(k) == v for k, v in head.items()) and have == wanted and sheet_path.is_file():
        table = stored
        sheet = np.array(Image.open(sheet_path))
    else:
        height = 2 * detector.STORED // detector.COLUMNS * detector.SIDE
        sheet = np.full((height, detector.COLUMNS * detector.SIDE, 3), 255, np.uint8)
    for number, identity in enumerate(tqdm(identities, desc="people", file=sys.stderr)):
        if number < len(table["noses"]):
            continue
        pair = portraits_of(identity, samples=samples)
        # looked at as they are stored: eight bits a colour
        pair = tuple(
            detector.Portrait(to_uint8(p.picture).astype(np.float32) / 255, p.nose, p.name)
            for p in pair
        )
        for row in table["rows"]:
            for portrait, key in zip(pair, ("found", "alarms"), strict=True):
                seen = detector.finds(portrait, shown(portrait, row, seed=number))
                row[key] += str(int(seen))
        table["noses"].append(list(pair[0].nose or ()))
        if number < detector.STORED:
            for portrait, place in zip(pair, (number, number + detector.STORED), strict=True):
                top, left = (detector.SIDE * n for n in divmod(place, detector.COLUMNS))
                sheet[top : top + detector.SIDE, left : left + detector.SIDE] = to_uint8(
                    portrait.picture
                )
            with atomic_file(sheet_path) as aside:
                Image.fromarray(sheet).save(aside, optimize=True)
        write_json(path, table)
    return table


def main() -> None:
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for row in run(asked.out)["rows"]:
        found, alarms = row["found"].count("1"), row["alarms"].count("1")
        share = wilson(found, len(row["found"]))
        print(
            f"{row['treatment']:<18} {row['size']:>3} {row['lines']:<6} "
            f"{found} of {share.n}, {share.percent():<20} alarms {alarms}"
        )


if __name__ == "__main__":
    main()
