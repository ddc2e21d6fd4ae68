"""A program: print the cameras and images of a COLMAP model in a folder, as JSON.

It imports nothing of the package, so that it starts quickly.
"""

import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

MEMORY = 8 << 30
"""Bytes of address space: a damaged count asks for more."""


def main(folder: str) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    import pycolmap

    pycolmap.logging.minloglevel = pycolmap.logging.Level.FATAL.value
    model = pycolmap.Reconstruction(folder)
    _check_lengths(model, Path(folder))
    cameras = {
        str(number): {
            "model": camera.model.name,
            "width": camera.width,
            "height": camera.height,
            "params": camera.params.tolist(),
        }
        for number, camera in model.cameras.items()
    }
    images = []
    for _, image in sorted(model.images.items()):
        pose = image.cam_from_world().matrix().tolist() if image.has_pose else None
        entry = {"name": image.name, "camera": image.camera_id, "cam_from_world": pose}
        images.append(entry | {"posed": pose is not None})
    print(json.dumps({"cameras": cameras, "images": images}))


def _check_lengths(model: Any, folder: Path) -> None:
    """COLMAP's reader takes what is missing at a file's end for zeros: write it again, and look."""
    with tempfile.TemporaryDirectory() as aside:
        model.write_binary(aside)
        for path in folder.glob("*.bin"):
            wanted, found = (Path(aside) / path.name).stat().st_size, path.stat().st_size
            if wanted != found:
                raise ValueError(f"{path.name} has {found} bytes; what it says it holds, {wanted}")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
