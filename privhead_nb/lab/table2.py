"""Table 2 of the paper (AAAI): who is recognised in which kind of picture, and what it can tell.

Seven recognisers were asked whether a picture shows the person that it shows, in five image
conditions, on about 31 pairs each. Our own figures are made by `benchmarks/studies/tables.py`;
lessons read them by the names that stand here.
"""

from __future__ import annotations

IMAGE_CONDITIONS = (
    "original",
    "protected",
    "rendered mesh",
    "our rendering",
    "full-RGB rendering",
)
SWAP_SOURCES = (
    "original",
    "full-RGB rendering",
    "our rendering",
    "protected",
    "the actor's own",
)
"""What a face swap has of its target; the last is a null control."""

PAPER_TABLE_2: dict[str, tuple[float, ...]] = {
    "VGG-Face": (93.75, 6.51, 3.03, 43.74, 84.62),
    "Facenet": (96.88, 9.68, 18.18, 31.23, 81.52),
    "Facenet512": (96.87, 3.23, 3.20, 18.77, 79.27),
    "ArcFace": (90.63, 6.66, 6.46, 31.25, 79.23),
    "Dlib": (93.75, 3.17, 1.77, 37.50, 71.57),
    "SFace": (84.38, 6.45, 9.14, 43.71, 73.35),
    "GhostFaceNet": (85.42, 6.62, 1.04, 31.44, 73.92),
}
"""Percent called the same person, in the order of IMAGE_CONDITIONS."""
