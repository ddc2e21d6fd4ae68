"""Which neutral views show the face all the same, by where their cameras stand, and who says yes.

A neutral view goes out in colour. Roles are written by hand and can be wrong, so `protect` looks at
the cameras, and refuses a view that stands before the face unless its owner names it.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from privhead_nb.errors import PrivheadError
from privhead_nb.scenes.camera import axis_vector
from privhead_nb.scenes.scene import AboutScene

FACE_ANGLE = 100.0
"""Degrees from the front within which a camera is taken to see the face. An eye's corner is seen
from up to about here; the neutral cameras of all rigs of the package stand at 100.5 and more."""


def angles_from_front(scene: AboutScene) -> Tensor:
    """(V,) degrees at the sphere's centre between `front` and each camera, 0 to 180."""
    offset = scene.cameras.centers - scene.cameras.centers.new_tensor(scene.center)
    along = offset @ torch.from_numpy(axis_vector(scene.front)).to(offset)
    return torch.rad2deg(torch.acos((along / offset.norm(dim=1)).clamp(-1, 1)))


def views_facing(scene: AboutScene) -> dict[int, float]:
    """The neutral views within FACE_ANGLE of the front, and at how many degrees each stands."""
    angles = angles_from_front(scene).tolist()
    return {view: angles[view] for view in scene.neutral if angles[view] < FACE_ANGLE}


def views_to_consent(scene: AboutScene) -> list[int]:
    """The neutral views that go out in colour only with consent."""
    return list(scene.neutral if scene.doubts else views_facing(scene))


def check_consent(scene: AboutScene, consent: Iterable[str]) -> None:
    """Refuse neutral views that see the face and aren't named in `consent`, by file name.

    Raises:
        PrivheadError: such views, each listed; or a name that is no neutral view's.
    """
    if isinstance(consent, str):
        consent = (consent,)
    named = {_neutral_view(scene, name) for name in consent}
    unsure = [v for v in views_to_consent(scene) if v not in named]
    if not unsure:
        return
    if scene.doubts:
        raise PrivheadError(
            f"{'; '.join(scene.doubts)}. So the cameras can't tell which of the "
            f"{len(scene.neutral)} neutral views, which go out in colour, show the face: "
            f"{', '.join(scene.names[v] for v in unsure)}",
            where=scene.name,
            remedy="Mend that, or look at each picture, and name in --consent, with commas "
            "between, those that may go out in colour; nothing was written.",
        )
    angles = views_facing(scene)
    listed = ", ".join(f"{scene.names[v]} ({angles[v]:.0f} degrees)" for v in unsure)
    raise PrivheadError(
        f"{len(unsure)} of {len(scene.neutral)} neutral views, which go out in colour, may show "
        f"the face (cameras within {FACE_ANGLE:g} degrees of the front, {scene.front}): {listed}",
        where=scene.name,
        remedy="Mark them sensitive. Where their owner wants them released in colour all the "
        "same, name each file in --consent, with commas between; nothing was written.",
    )


def _neutral_view(scene: AboutScene, name: str) -> int:
    view = scene.names.index(name) if name in scene.names else -1
    if view in scene.neutral:
        return view
    if view in scene.sensitive:
        problem = f"{name} is sensitive, and is never released in colour"
        remedy = "Leave it out, or make it neutral in scene.json first."
    elif view >= 0:
        problem, remedy = f"{name} is unused, and isn't released", "Leave it out."
    else:
        problem = f"no picture of the scene is called {name!r}"
        remedy = "Write whole file names, such as " + (scene.names or ("img_0015.png",))[-1] + "."
    raise PrivheadError(problem, where="--consent", remedy=remedy)
