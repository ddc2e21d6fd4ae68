"""The whole way from photographs or a film to a scene folder, step by step, each step kept.

Nothing is fetched and nothing is sent: pictures stay on this machine. What the steps found lies in
SCENE.steps, beside the scene: it holds copies of the pictures, and may be removed at any time.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from privhead_nb.capture.faces import detectors, look_for_faces
from privhead_nb.capture.film import read_film
from privhead_nb.capture.frame import HeadFrame, head_frame
from privhead_nb.capture.hull import Hull, Mask
from privhead_nb.capture.kept import digest, key_of, step
from privhead_nb.capture.masks import cut_at_plane, given_masks, make_masks
from privhead_nb.capture.matching import colmap, match_pictures
from privhead_nb.capture.page import review_page
from privhead_nb.capture.photographs import (
    Picture,
    copies,
    list_photographs,
    read_photographs,
)
from privhead_nb.capture.poses import Poses, find_poses
from privhead_nb.capture.report import page_facts, report_of
from privhead_nb.capture.roles import view_roles
from privhead_nb.capture.settings import MIN_VIEWS, CaptureSettings
from privhead_nb.capture.views import View, moved, placed_views
from privhead_nb.capture.write import write_scene
from privhead_nb.errors import OutputError, PrivheadError, SceneError
from privhead_nb.files import atomic_folder, write_json
from privhead_nb.reading import read_json
from privhead_nb.scenes.scene_json import read_roles, read_scene_json

REPORT = "capture.json"
PAGE = "review.html"


@dataclass(frozen=True)
class Choices:
    """What a user says against what was found, by whole file names.

    Args:
        masks: folder of masks; None has them made.
        sensitive: pictures moved to sensitive.
        neutral: pictures moved to neutral although something speaks against it.
    """

    masks: Path | None = None
    sensitive: tuple[str, ...] = ()
    neutral: tuple[str, ...] = ()


def steps_folder(out: Path) -> Path:
    """Where the steps of a scene are kept: beside it."""
    return out.with_name(out.name + ".steps")


def capture(
    source: str | Path,
    out: str | Path,
    settings: CaptureSettings | None = None,
    choices: Choices | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = False,
) -> dict[str, Any]:
    """Make a scene of a folder of photographs, or of a film, of one head.

    Args:
        source: the folder or the film; only read.
        out: scene folder to make.
        settings: how.
        choices: what the user says.
        resume: take finished steps over where they were made from the same, and replace a scene
            that capture wrote; views that were moved to sensitive or unused in its scene.json stay.
        overwrite: replace what `out` holds.
        progress: show bars.

    Returns:
        The report, which capture.json in the scene holds too.

    Raises:
        SceneError: pictures that can't become a scene; what was seen, and what to do.
        LabError: a detector is missing.
        OutputError: the disk says no.
    """
    source, out = Path(source), Path(out)
    settings, choices = settings or CaptureSettings(), choices or Choices()
    _check_before(source, out, resume=resume, overwrite=overwrite)
    by_hand = _moved_by_hand(out) if resume else {}
    steps = steps_folder(out)
    if not resume and steps.exists():
        _clear_steps(steps)
    pictures_in = steps / "pictures"
    pictures_in.mkdir(parents=True, exist_ok=True)
    try:
        pictures, left_out, key = _read(source, steps, settings, progress)
    except PrivheadError:
        if not any(pictures_in.iterdir()) and len([*steps.iterdir()]) == 1:
            shutil.rmtree(steps)  # nothing was kept: leave nothing
        raise
    matched, poses, key = _placed(steps, pictures, settings, key, progress)
    views = placed_views(pictures, poses)
    seen = step(
        steps, "faces", key_of(key, "faces"),
        lambda: look_for_faces(views, pictures_in, progress=progress),
    )  # fmt: skip
    if not seen["landmarks"]:
        raise SceneError(
            f"no face is found in any of the {len(views)} placed pictures (looked by "
            f"{', '.join(seen['detectors'])})",
            where=source,
            remedy="Nobody then knows where the front is, and no view may be neutral. Take a "
            "third of the pictures before the face, upright, lit, the face a fifth of the picture.",
        )
    marks = {name: np.array(m, np.float64) for name, m in seen["landmarks"].items()}
    head = head_frame(views, marks, settings.pupils)
    views = [moved(view, head.turn, head.scale, head.shift) for view in views]
    masks, hull, agreement = _cut_out(steps, views, head, settings, choices, key, progress)
    roles = view_roles(
        views,
        seen["faces"],
        head.nose_tip,
        {view.name: hull.outside(view) for view in views},
        doubt=head.doubt,
        sensitive=[*choices.sensitive, *by_hand.get("sensitive", ())],
        neutral=choices.neutral,
        unused=by_hand.get("unused", ()),
    )
    if sum(role.role != "unused" for role in roles) < MIN_VIEWS:
        raise SceneError(
            f"in {sum(r.role == 'unused' for r in roles)} of {len(roles)} placed pictures a part "
            "of the head is outside of the picture",
            where=source,
            remedy="Step back: the whole head, with some room around it, belongs in each picture.",
        )
    report = report_of(
        source, settings, poses, matched, left_out, head, roles, agreement, seen,
        "made" if choices.masks is None else "given",
    )  # fmt: skip
    with atomic_folder(out, overwrite=overwrite or resume) as aside:
        report |= write_scene(
            aside, views, masks, roles, head, hull, pictures_in,
            size=settings.size, progress=progress,
        )  # fmt: skip
        page = review_page(aside, roles, report["names"], page_facts(report))
        (aside / PAGE).write_text(page, encoding="utf-8")
        write_json(aside / REPORT, report)
    return report | {"out": str(out), "page": str(out / PAGE), "steps": str(steps)}


def _check_before(source: Path, out: Path, *, resume: bool, overwrite: bool) -> None:
    """Refuse what can be refused before any work."""
    if not source.exists():
        raise SceneError("there is no such folder or film", where=source, remedy="Check the path.")
    occupied = out.is_dir() and any(out.iterdir()) and not (out / REPORT).is_file()
    if resume and not overwrite and occupied:
        raise OutputError(
            "holds something that capture didn't write",
            where=out,
            remedy="Name another folder, or pass --overwrite.",
        )
    colmap()
    detectors()


def _clear_steps(steps: Path) -> None:
    """Remove the kept steps of an earlier call, and nothing that isn't one."""
    known = {"pictures", "masks", "read.json", "matches.json", "poses.json", "faces.json",
             "masks.json", "matches.db", "hull.npz"}  # fmt: skip
    foreign = [p.name for p in steps.iterdir() if p.name not in known and p.suffix != ".pairs"
               and not p.name.startswith(("matches.db", "."))]  # fmt: skip
    if foreign:
        raise OutputError(
            f"holds {foreign[0]!r}, which is no step of a capture",
            where=steps,
            remedy="Steps are kept there; move that away.",
        )
    shutil.rmtree(steps)


def _moved_by_hand(out: Path) -> dict[str, list[str]]:
    """Views that a user moved to sensitive or unused in a scene's scene.json, by role."""
    if not (out / REPORT).is_file() or not (out / "scene.json").is_file():
        return {}
    report = read_json(out / REPORT, error=SceneError, remedy="Capture anew, without --resume.")
    names = {file: name for name, file in report.get("names").items()}
    before = {view["name"]: view["role"] for view in report.get("views")}
    files = sorted(names)
    lists = read_scene_json(out / "scene.json").views
    sensitive, neutral = read_roles(lists, files, out / "scene.json")
    moved_to: dict[str, list[str]] = {"sensitive": [], "unused": []}
    for place, file in enumerate(files):
        role = "sensitive" if place in sensitive else "neutral" if place in neutral else "unused"
        if role != "neutral" and role != before.get(names[file]):
            moved_to[role].append(names[file])
    return moved_to


def _read(
    source: Path, steps: Path, settings: CaptureSettings, progress: bool
) -> tuple[list[Picture], dict[str, str], str]:
    """The pictures, what was left out, and a key of both."""
    target = steps / "pictures"
    if source.is_dir():
        paths = list_photographs(source)
        key = key_of("photographs", [digest(path) for path in paths])
    else:
        key = key_of("film", digest(source), settings.frames)

    def make() -> dict[str, Any]:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        if source.is_dir():
            kept, left = read_photographs(paths, target, progress=progress)
        else:
            kept, left = read_film(source, target, settings.frames, progress=progress)
        return {"pictures": [picture.to_dict() for picture in kept], "left_out": left}

    found = step(steps, "read", key, make)
    pictures = [Picture(**picture) for picture in found["pictures"]]
    if not copies(target, pictures):
        (steps / "read.json").unlink()
        return _read(source, steps, settings, progress)
    return pictures, dict(found["left_out"]), key


def _placed(
    steps: Path, pictures: Sequence[Picture], settings: CaptureSettings, key: str, progress: bool
) -> tuple[dict[str, Any], Poses, str]:
    """Counts of the matches, the poses, and a key of them."""
    folder, database = steps / "pictures", steps / "matches.db"
    if not database.is_file():
        (steps / "matches.json").unlink(missing_ok=True)
    key = key_of(key, settings.features)
    matched = step(
        steps, "matches", key,
        lambda: match_pictures(
            folder, pictures, database,
            features=settings.features, threads=settings.threads, progress=progress,
        ),
    )  # fmt: skip
    key = key_of(key, settings.fov)
    poses = step(
        steps, "poses", key,
        lambda: find_poses(
            folder, pictures, database,
            fov=settings.fov, threads=settings.threads, progress=progress,
        ).to_dict(),
    )  # fmt: skip
    return matched, Poses.from_dict(poses), key


def _cut_out(
    steps: Path,
    views: Sequence[View],
    head: HeadFrame,
    settings: CaptureSettings,
    choices: Choices,
    key: str,
    progress: bool,
) -> tuple[list[Mask], Hull, list[float]]:
    """Masks, hull above the neck plane, and how well they agree; kept as pictures and numbers."""
    folder, stored = steps / "masks", steps / "hull.npz"
    unit = head.pupils / 62.0
    plane = head.chin - settings.neck * (1.0 if head.unit == "mm" else unit)
    given = choices.masks
    files = [] if given is None or not given.is_dir() else sorted(given.iterdir())
    key = key_of(
        key, settings.pupils, settings.neck, str(given), [digest(p) for p in files if p.is_file()]
    )
    if not stored.is_file() or not all((folder / view.file).is_file() for view in views):
        (steps / "masks.json").unlink(missing_ok=True)

    def make() -> dict[str, Any]:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if given is None:
            made = make_masks(views, steps / "pictures", unit, plane, progress=progress)
        else:
            made = cut_at_plane(views, given_masks(views, given), unit, plane)
        for view, mask in zip(views, made[0], strict=True):
            cv2.imwrite(str(folder / view.file), mask)
        np.savez(stored, points=made[1].points, cell=made[1].cell)
        return {"agreement": made[2]}

    agreement = step(steps, "masks", key, make)["agreement"]
    masks: list[Any] = [cv2.imread(str(folder / v.file), cv2.IMREAD_GRAYSCALE) for v in views]
    with np.load(stored) as kept:
        hull = Hull(kept["points"], float(kept["cell"]))
    return masks, hull, [float(a) for a in agreement]
