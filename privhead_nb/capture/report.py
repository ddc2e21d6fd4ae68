"""What a capture found: numbers for capture.json, and sentences for the page and the command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from privhead_nb.capture.frame import HeadFrame
from privhead_nb.capture.masks import AGREE
from privhead_nb.capture.poses import Poses
from privhead_nb.capture.roles import FACE_ANGLE, ViewRole
from privhead_nb.capture.settings import CaptureSettings
from privhead_nb.errors import listed


def report_of(
    source: Path,
    settings: CaptureSettings,
    poses: Poses,
    matched: dict[str, Any],
    left_out: dict[str, str],
    head: HeadFrame,
    roles: Sequence[ViewRole],
    agreement: Sequence[float],
    seen: dict[str, Any],
    masks: str,
) -> dict[str, Any]:
    """What was found, ready for JSON."""
    focal = float(np.median(poses.focal))
    names = poses.names
    return {
        "source": source.name,
        "pictures": len(poses.names) + len(poses.missing),
        "placed": len(poses.names),
        "not_placed": list(poses.missing),
        "left_out": left_out,
        "error_px": poses.error,
        "fov_deg": float(np.degrees(2 * np.arctan(0.5 / focal))),
        "focal_known_by": poses.known,
        "focal_profile": [list(row) for row in poses.profile],
        "distorted": bool(np.abs(poses.k1).max() > 1e-6),
        "matches": matched,
        "detectors": seen["detectors"],
        "views_with_a_face": sum(seen["faces"].get(name, 0) > 0 for name in names),
        **head.facts(),
        "neck": settings.neck,
        "mask_agreement": float(np.median(agreement)),
        "masks": masks,
        "masks_below": [r.name for r, a in zip(roles, agreement, strict=True) if a < AGREE],
        "views": [role.to_dict() for role in roles],
    }


def page_facts(report: dict[str, Any]) -> dict[str, str]:
    """What the page and the command say of a capture: label to sentence."""
    left, missing = report["left_out"], report["not_placed"]
    below = report["masks_below"]
    unit = report["unit"]
    return {
        "pictures": f"{report['placed']} of {report['pictures']} placed, mean reprojection error "
        f"{report['error_px']:.2f} pixels",
        "left out": "; ".join(f"{n}: {why}" for n, why in left.items()) or "none",
        "not placed": listed(missing) or "none",
        "angle of view": f"{report['fov_deg']:.1f} degrees over the longer side "
        f"(from {report['focal_known_by']})",
        "face": f"found in {report['views_with_a_face']} views by "
        f"{', '.join(report['detectors'])}; front and up by the landmarks of "
        f"{len(report['used_views'])}; the front may be {report['front_doubt_deg']:g} degrees off, "
        f"so views up to {FACE_ANGLE + report['front_doubt_deg']:g} degrees count as showing it",
        "unit": f"mm, pupils {report['pupils']:g} mm apart"
        if unit == "mm"
        else f"unknown: no length was given (--pupils MM); {report['pupils']:g} stand between the "
        "pupils, so distances are no millimetres of this person",
        "masks": f"{report['masks']}; they fit the head that all of them share by "
        f"{report['mask_agreement']:.2f} (median overlap)"
        + (f"; look at {listed(below)}" if below else ""),
        "neck": f"the head ends {report['neck']:g} under the chin (--neck)",
        "lens": "distortion was taken out of the pictures"
        if report["distorted"]
        else "no distortion worth taking out",
    }
