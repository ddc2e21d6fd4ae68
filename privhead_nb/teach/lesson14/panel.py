"""Lesson 14's panel: what hides a face, a file that carries it, and who can take it back."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from privhead_nb.deid.g2face import G2Face, deidentifier
from privhead_nb.lab.sheet import shipped_gallery
from privhead_nb.teach import widgets
from privhead_nb.viz.style import images

FILES = {"PNG": None, **{f"JPEG {q}": q for q in (100, 97, 95, 93, 90, 50)}}
KEYS = {"the right one": "correct horse", "a wrong one": "battery staple", "none": None}
PEOPLE = 8
SETTING: dict[str, Any] = {"person": 0, "file": "PNG", "passphrase": "the right one"}
TWIN: list[dict[str, Any]] = [
    SETTING,
    SETTING | {"passphrase": "a wrong one"},
    SETTING | {"file": "JPEG 90"},
    SETTING | {"person": 2, "passphrase": "none"},
]


def as_file(pictures: Tensor, quality: int | None = None) -> Tensor:
    """Pictures (N, 64, 64, 3) as a PNG, or a JPEG of a quality, gives them back."""
    out = []
    for picture in (pictures * 255).round().clamp(0, 255).byte().numpy():
        file = io.BytesIO()
        kind = "JPEG" if quality else "PNG"
        Image.fromarray(picture).save(file, kind, quality=quality, subsampling=0)
        out.append(np.asarray(Image.open(file)))
    return torch.from_numpy(np.stack(out)).float() / 255


@cache
def _made() -> tuple[G2Face, Tensor, Tensor]:
    """The system, a picture each of some people, and the same anonymised under the right one."""
    system, plain = deidentifier(), shipped_gallery().views().rgb()[: 4 * PEOPLE : 4]
    random = torch.Generator().manual_seed(14)
    key = KEYS[SETTING["passphrase"]]
    return system, plain, system.anonymise(plain, 1.0, random, passphrase=key)


def picture(person: int, file: str, passphrase: str) -> widgets.View:
    """The original, its anonymised file, ten times their difference, and what comes back.

    Args:
        person: below PEOPLE.
        file: of FILES.
        passphrase: of KEYS; it was anonymised with the right one.
    """
    system, plain, hidden = _made()
    one = as_file(hidden[[person]], FILES[file])
    (found,) = system.recover(one, KEYS[passphrase])
    back, said = found.picture, "not recovered"
    if back is not None:
        off = float((back - plain[person]).square().mean())
        said = f"recovered, {-10 * np.log10(off):.1f} dB from the original"
    changed = float((one[0] - plain[person]).abs().mean()) * 255
    facts = f"{file}, {passphrase}: {said}; the file is {changed:.1f} of 255 from the original"
    shown = [plain[person], one[0], (10 * (one[0] - plain[person]).abs()).clamp(max=1), back]
    titles = ["original", f"anonymised, {file}", "difference, times 10", said.split(",")[0]]
    tiles = [np.full((64, 64, 3), 0.8) if tile is None else tile.numpy() for tile in shown]
    alt = (
        f"Four tiles for person {person}: the original, the anonymised {file}, ten times their "
        f"difference, and what comes back, grey where nothing does. Passphrase: {facts}."
    )
    return widgets.View(images([tiles], titles, width=8), alt, facts)


def controls() -> dict[str, Any]:
    """Who, the file, and the passphrase of whoever wants the face back."""
    return {
        "person": widgets.whole("person", 0, PEOPLE - 1, 1, SETTING["person"]),
        "file": widgets.choice("saved as", list(FILES), SETTING["file"]),
        "passphrase": widgets.choice("passphrase", list(KEYS), SETTING["passphrase"]),
    }
