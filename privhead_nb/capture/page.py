"""The review page: all views in rows by role, masks outlined, the reason below each; one HTML file.

It shows the person, so it lies in the scene and stays at home with it. Nothing in it is fetched.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from privhead_nb.capture.roles import ViewRole

THUMB = 176
"""Width of a view on the page, pixels."""
LINE = {"sensitive": (213, 94, 0), "neutral": (0, 114, 178), "unused": (119, 119, 119)}
"""Colour of each role, which colour-blind readers can tell apart."""
SAYS = {
    "sensitive": "Sensitive: released as gradient modulus only",
    "neutral": "Neutral: released in COLOUR. Look at each: does it show the face?",
    "unused": "Unused: never released",
}
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 1.5rem; color: #222; background: #fff; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 1.6rem; padding-left: .5rem; }
.row { display: flex; flex-wrap: wrap; gap: 12px; }
figure { margin: 0; width: 176px; } img { width: 176px; height: 176px; display: block; }
figcaption { font-size: 12px; overflow-wrap: anywhere; }
td { padding: 2px 14px 2px 0; vertical-align: top; } .name { font-weight: 600; }
"""


def review_page(
    scene: Path, roles: Sequence[ViewRole], names: Mapping[str, str], facts: Mapping[str, Any]
) -> str:
    """The page as HTML.

    Args:
        scene: folder with image/ and mask/.
        roles: of the views.
        names: the scene's file of each view, by the user's name.
        facts: what is said above the views: label to text.
    """
    rows = "".join(
        f"<tr><td>{html.escape(label)}</td><td>{html.escape(str(value))}</td></tr>"
        for label, value in facts.items()
    )
    parts = []
    for role, said in SAYS.items():
        some = sorted((r for r in roles if r.role == role), key=lambda r: r.angle)
        if not some and role == "unused":
            continue
        red, green, blue = LINE[role]
        cards = "".join(_card(scene, r, names[r.name]) for r in some) or "<p>No view.</p>"
        parts.append(
            f'<h2 style="border-left: 8px solid rgb({red},{green},{blue})">'
            f'{html.escape(said)} ({len(some)})</h2><div class="row">{cards}</div>'
        )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">"
        f"<title>Capture: review</title><style>{_STYLE}</style></head><body>"
        "<h1>Look at every view before you release anything</h1>"
        "<p>This page shows the person and belongs to the scene: keep it at home. Views are sorted "
        "by the angle between the face's axis and the camera. To move one to sensitive, name it in "
        "<code>--sensitive</code> (or in scene.json) and call capture again with "
        "<code>--resume</code>.</p>"
        f"<table>{rows}</table>{''.join(parts)}</body></html>\n"
    )


def outlined(picture: np.ndarray, mask: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """A picture (H, W, 3) uint8 with the outline of a mask (H, W), dimmed outside of it."""
    inside = (mask > 127).astype(np.uint8)
    shown = np.where(inside[..., None] > 0, picture, (0.55 * picture + 95).astype(np.uint8))
    shown = np.ascontiguousarray(shown)
    lines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(shown, lines, -1, colour, 2)
    return shown


def _card(scene: Path, role: ViewRole, name: str) -> str:
    with Image.open(scene / "image" / name) as image, Image.open(scene / "mask" / name) as cut:
        size = (2 * THUMB, 2 * THUMB)  # sharp on fine screens too
        picture = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BOX))
        mask = np.asarray(cut.convert("L").resize(size, Image.Resampling.BOX))
    data = io.BytesIO()
    Image.fromarray(outlined(picture, mask, LINE[role.role])).save(data, "JPEG", quality=80)
    source = base64.b64encode(data.getvalue()).decode()
    label = html.escape(f"{role.name}, {role.role}", quote=True)
    return (
        f'<figure><img alt="{label}" src="data:image/jpeg;base64,{source}"><figcaption>'
        f'<span class="name">{html.escape(role.name)}</span><br>'
        f"{html.escape('; '.join(role.reasons))}</figcaption></figure>"
    )
