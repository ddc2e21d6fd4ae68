"""What is said of a scene: the facts that `inspect` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from privhead_nb.scenes.folder import SceneFolder
    from privhead_nb.scenes.scene import Scene


def scene_facts(scene: Scene | SceneFolder) -> dict[str, Any]:
    """What `inspect` prints: counts, sizes, distances and assumptions, ready for JSON."""
    cameras = scene.cameras
    distance = (cameras.centers - cameras.centers.new_tensor(scene.center)).norm(dim=1)
    return {
        "kind": "scene",
        "name": scene.name,
        "views": len(cameras),
        "sensitive": list(scene.sensitive),
        "neutral": list(scene.neutral),
        "in_colour": [scene.names[v] for v in scene.neutral],
        "as_modulus": [scene.names[v] for v in scene.sensitive],
        "unused": [scene.names[v] for v in scene.unused],
        "width": cameras.width,
        "height": cameras.height,
        "pixel_center": cameras.pixel_center,
        "unit": scene.unit,
        "up": scene.up,
        "front": scene.front,
        "center": list(scene.center),
        "radius": scene.radius,
        "origin": list(scene.origin),
        "camera_distance": [float(distance.min()), float(distance.max())],
        "focal_pixels": [float(cameras.K[:, 0, 0].min()), float(cameras.K[:, 0, 0].max())],
        "mask_share": scene.mask_share(),
        "nose_tip": None if scene.nose_tip is None else list(scene.nose_tip),
        "face_radius": scene.face_radius,
        "landmarks": 0 if scene.landmarks is None else len(scene.landmarks),
        "truth": scene.truth is not None or scene.truth_path is not None,
        "licence": scene.licence,
        "assumptions": [*scene.assumptions, *scene.background_remark()],
    }
