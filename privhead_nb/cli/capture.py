"""Own photographs and films: capture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from privhead_nb.cli.common import (
    Json,
    Overwrite,
    Threads,
    check_target,
    claim_target,
    command,
    set_threads,
    show,
    table,
)
from privhead_nb.errors import PrivheadError


@command()
def capture(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="Folder of photographs, or a film; only read.")
    ],
    scene: Annotated[Path, typer.Argument(metavar="SCENE", help="Scene folder to make.")],
    fov: Annotated[
        float | None,
        typer.Option(
            metavar="DEG",
            help="Angle of view over the longer side of the pictures, held as given. Default: "
            "from EXIF, else found.",
        ),
    ] = None,
    pupils: Annotated[
        float | None,
        typer.Option(
            metavar="MM", help="Between the pupils; without it the scene's unit is unknown."
        ),
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Masks of your own, named as the pictures; white = head or person. Default: made.",
        ),
    ] = None,
    neck: Annotated[
        float, typer.Option(metavar="MM", help="How far under the chin the head ends.")
    ] = 25.0,
    frames: Annotated[int, typer.Option(help="Of a film, how many are taken, at most.")] = 60,
    size: Annotated[
        int, typer.Option(help="Width and height of the scene's pictures in pixels.")
    ] = 512,
    features: Annotated[int, typer.Option(help="Points of a picture to match, at most.")] = 3000,
    sensitive: Annotated[
        str,
        typer.Option(
            metavar="FILES",
            help="File names, with commas between, of pictures that are sensitive whatever was "
            "found.",
        ),
    ] = "",
    neutral: Annotated[
        str,
        typer.Option(
            metavar="FILES",
            help="File names of pictures that are neutral, and go out in COLOUR, although a "
            "detector or their angle speaks against it.",
        ),
    ] = "",
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on from finished steps; those whose options changed are redone."
        ),
    ] = False,
    threads: Threads = 0,
    overwrite: Overwrite = False,
    json_: Json = False,
) -> None:
    """Make a scene of your own photographs or film: cameras, masks, and which views show the face.

    Everything is done on this machine. Look at SCENE/review.html before you release anything.
    """
    from privhead_nb.capture.settings import CaptureSettings

    settings = CaptureSettings(
        fov=fov, pupils=pupils, neck=neck, frames=frames, size=size, features=features,
        threads=threads,
    )  # fmt: skip
    if resume:
        claim_target(scene, source)
    else:
        check_target(scene, overwrite)
        claim_target(scene, source)
    set_threads(threads)
    from privhead_nb.capture.report import page_facts
    from privhead_nb.capture.run import Choices, steps_folder
    from privhead_nb.capture.run import capture as run

    claim_target(steps_folder(scene), source)
    chosen = Choices(masks, _names(sensitive), _names(neutral))
    try:
        report = run(
            source, scene, settings, chosen, resume=resume, overwrite=overwrite, progress=True
        )
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt("finished steps are kept: call again with --resume") from error
    if json_:
        show(report)
        return
    roles = {role: [v for v in report["views"] if v["role"] == role]
             for role in ("sensitive", "neutral", "unused")}  # fmt: skip
    counts = ", ".join(f"{len(some)} {role}" for role, some in roles.items())
    lines = [
        f"{scene}: {report['placed']} views ({counts}).",
        table(page_facts(report)),
        "Neutral, released in colour by protect:" if roles["neutral"] else "Neutral: no view.",
        *[f"  {v['name']}: {'; '.join(v['reasons'])}" for v in roles["neutral"]],
        f"Look at every view, and at the masks: {report['page']}",
        f"Copies of the pictures and finished steps: {report['steps']} (remove it when you are "
        "content)",
        f"Next: privhead protect {scene} RELEASE --background flat",
    ]
    show("\n".join(lines))


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if text.strip() and not names:
        raise PrivheadError("names no file", where="--sensitive", remedy="Write file names.")
    return names
