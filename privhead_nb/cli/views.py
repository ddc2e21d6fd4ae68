"""Scenes and releases: synth, inspect, export, protect."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from privhead_nb.cli.common import (
    Format,
    Json,
    Overwrite,
    Sensitive,
    check_target,
    command,
    show,
    table,
)
from privhead_nb.errors import OutputError, PrivheadError
from privhead_nb.targets import check_file_target, refuse_inside_sources

# What is said where the pictures show another background than the scene states
BACKGROUND = {
    "flat": "Background: outside of the masks, the scene's plain colour in all views.",
    "kept": "Background: kept. The pictures show more than the head before a plain colour, and "
    "that is released too, in colour in neutral views. --background flat takes it out.",
}


@command()
def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make.")],
    identity: Annotated[int, typer.Option(min=0, help="Number of the made person.")] = 0,
    neutral: Annotated[
        int, typer.Option(min=0, help="Views from behind, which show no face.")
    ] = 10,
    sensitive: Annotated[int, typer.Option(min=1, help="Views that show the face.")] = 20,
    size: Annotated[int, typer.Option(min=16, max=2048, help="Width and height in pixels.")] = 64,
    rig: Annotated[
        Literal["facescape", "h3ds", "orbit"], typer.Option(help="Where the cameras stand.")
    ] = "facescape",
    light: Annotated[str, typer.Option(help="Name of a light.")] = "studio",
    seed: Annotated[
        int, typer.Option(min=0, help="Moves the cameras a little; 0 leaves them.")
    ] = 0,
    overwrite: Overwrite = False,
    json_: Json = False,
) -> None:
    """Make a scene of a head that belongs to nobody: pictures, masks, cameras and truth mesh."""
    check_target(out, overwrite)
    from privhead_nb.heads.synthetic import synthetic_scene
    from privhead_nb.scenes.folder import scene_facts

    scene = synthetic_scene(
        identity,
        neutral=neutral,
        sensitive=sensitive,
        size=size,
        rig=rig,
        light=light,
        seed=seed,
        progress=True,
    )
    scene.save(out, overwrite=overwrite)
    said = (
        f"{out}: {len(scene.cameras)} views of {size} x {size} pixels "
        f"({len(scene.sensitive)} sensitive, {len(scene.neutral)} neutral) and the truth mesh.\n"
        f"Next: privhead protect {out} RELEASE"
    )
    show({"out": str(out), **scene_facts(scene)} if json_ else said)


@command()
def inspect(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A scene folder or a release folder.")
    ],
    picture: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw all views and cameras into this PNG.")
    ] = None,
    sensitive: Sensitive = None,
    format_: Format = "auto",
    json_: Json = False,
) -> None:
    """List what a scene or a release holds; draw cameras, sphere and mesh over the pictures."""
    from privhead_nb.privacy.consent import views_to_consent
    from privhead_nb.privacy.release import Release, release_facts
    from privhead_nb.privacy.release_folder import system_files
    from privhead_nb.scenes.folder import open_scene, scene_facts

    if picture is not None:
        if picture.suffix.lower() != ".png":
            raise OutputError("can only be drawn as PNG", where=picture, remedy="End it in .png.")
        refuse_inside_sources(picture, [source])
        check_file_target(picture)
        from privhead_nb.viz.inspect import draw_release, draw_scene, save_page, shown_views

    if not source.is_dir() or (source / "release.json").is_file():
        release = Release.load(source)
        if picture is not None:
            save_page(draw_release(release), picture)
        facts = release_facts(release) | {"ignored_files": system_files(source)}
    else:
        scene = open_scene(source, sensitive=sensitive, format=format_)
        if picture is not None:
            save_page(draw_scene(scene), picture)
        facts = scene_facts(scene)  # after the page, whose pictures need not be read again
        facts["needs_consent"] = [scene.names[v] for v in views_to_consent(scene)]
    if picture is not None:
        facts["picture"] = str(picture)
        facts["drawn"] = f"{len(shown_views(facts['views']))} of {facts['views']} views"
    show(facts if json_ else table(facts))


@command()
def export(
    scene: Annotated[Path, typer.Argument(metavar="SCENE", help="Scene folder; only read.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make.")],
    to: Annotated[
        Literal["nerfstudio", "colmap", "idr"],
        typer.Option("--format", help="Whose: idr is IDR's, VolSDF's and NeuS's."),
    ],
    source: Annotated[
        str, typer.Option("--from", metavar="FORMAT", help="Layout of SCENE; auto looks itself.")
    ] = "auto",
    sensitive: Sensitive = None,
    overwrite: Overwrite = False,
    json_: Json = False,
) -> None:
    """Write a scene for other tools: ALL pictures in FULL COLOUR, the face included.

    This protects nothing and is no release: keep it on the device that holds the photos. What may
    leave that is what `privhead protect` writes.
    """
    from privhead_nb.scenes.export import export_scene
    from privhead_nb.scenes.folder import open_scene, scene_facts

    opened = open_scene(scene, sensitive=sensitive, format=source)
    export_scene(opened, out, to, overwrite=overwrite, sources=[scene], progress=True)
    facts = scene_facts(opened)
    said = (
        f"{out}: {facts['views']} views for {to}, all in full colour, {len(opened.sensitive)} of "
        "them with the face.\nThis is no release: keep it where the photos are."
    )
    show({"out": str(out), "format": to, "full_colour": facts["views"], **facts} if json_ else said)


@command()
def protect(
    scene: Annotated[Path, typer.Argument(metavar="SCENE", help="Scene folder; only read.")],
    release: Annotated[Path, typer.Argument(metavar="RELEASE", help="Release folder to make.")],
    operator: Annotated[
        Literal["sobel", "scharr", "prewitt", "roberts", "central", "gaussian", "dog"],
        typer.Option(help="What sensitive views become the gradient modulus of."),
    ] = "sobel",
    size: Annotated[
        int, typer.Option(min=16, max=512, help="Width and height of released views.")
    ] = 64,
    masks: Annotated[
        Literal["none", "neutral", "all"],
        typer.Option(help="Which foreground masks are released too."),
    ] = "neutral",
    kernel_size: Annotated[int, typer.Option(help="Pixels, odd; 0 takes the operator's own.")] = 0,
    sigma: Annotated[float, typer.Option(help="Width of gaussian and dog, in pixels.")] = 1.0,
    single_channel: Annotated[
        bool, typer.Option("--single-channel", help="Gradient of brightness, not of R, G and B.")
    ] = False,
    border: Annotated[
        Literal["reflect", "replicate", "zero"],
        typer.Option(help="What stands outside of the picture."),
    ] = "reflect",
    blur: Annotated[
        float, typer.Option(help="Gaussian blur before the gradient, in pixels.")
    ] = 0.0,
    background: Annotated[
        Literal["kept", "flat"],
        typer.Option(help="flat: the scene's plain colour outside of the mask."),
    ] = "kept",
    downsample: Annotated[
        Literal["first", "last"],
        typer.Option(help="Make the picture small before or after the operator."),
    ] = "first",
    noise: Annotated[
        float, typer.Option(help="Gaussian noise on the modulus (colours are 0 to 1).")
    ] = 0.0,
    levels: Annotated[
        int, typer.Option(help="Round the modulus to so many levels; 0 does not.")
    ] = 0,
    named: Annotated[
        str,
        typer.Option(
            "--setting",
            help="A studied setting: sets operator, its options and size. sobel-64 is the "
            "paper's default.",
        ),
    ] = "",
    consent: Annotated[
        str,
        typer.Option(
            metavar="FILES",
            help="File names, with commas between, of neutral pictures that may go out in colour "
            "although their cameras see the face.",
        ),
    ] = "",
    sensitive: Sensitive = None,
    format_: Format = "auto",
    overwrite: Overwrite = False,
    json_: Json = False,
) -> None:
    """Write a release: neutral views as RGB, sensitive views as gradient modulus only.

    Run this on the device that holds the photos. The release is all that has to leave it.
    """
    from privhead_nb.lab import assessment
    from privhead_nb.privacy.operators import Operator
    from privhead_nb.privacy.protect import in_colour, protect_folder
    from privhead_nb.privacy.release import release_facts

    chosen = Operator(
        kind=operator,
        kernel_size=kernel_size,
        sigma=sigma,
        per_channel=not single_channel,
        border=border,
        blur=blur,
        background=background,
        downsample=downsample,
        noise=noise,
        levels=levels,
    )
    if named:
        if (chosen, size) != (Operator(), 64):
            raise PrivheadError(
                "it stands for an operator, its options and a size",
                where="--setting",
                remedy="Leave the other options of the operator, and --size, out.",
            )
        chosen, size = assessment.named(named)
    opened, made = protect_folder(
        scene,
        release,
        chosen,
        size=size,
        masks=masks,
        overwrite=overwrite,
        sensitive=sensitive,
        format=format_,
        consent=[name.strip() for name in consent.split(",") if name.strip()],
        progress=True,
    )
    shown = in_colour(opened)
    room = opened.background_remark()
    known = assessment.assess(made.operator, made.size)
    lines = [
        f"{release}: {len(made.neutral)} neutral views as RGB, {len(made.sensitive)} sensitive "
        f"views as {chosen.kind} modulus only, {size} x {size} pixels; masks released: {masks}.",
        f"In colour, {len(shown)} pictures:" if shown else "In colour: no picture.",
        *[f"  {one['file']} as {one['released_as']}" for one in shown],
        f"As modulus only: {len(opened.sensitive)} pictures. "
        f"Not released, without a role: {len(opened.unused)}.",
        *[f"Assumed: {said}" for said in opened.assumptions],
        BACKGROUND[chosen.background] if room else "",
        str(known),
        f"See what it gives away: privhead audit {release}",
        f"Next: privhead reconstruct {release} OUT",
    ]
    facts = {
        "out": str(release),
        **release_facts(made),
        "in_colour": shown,
        "as_modulus": [opened.names[v] for v in opened.sensitive],
        "not_released": [opened.names[v] for v in opened.unused],
        "assumptions": [*opened.assumptions, *room],
        "study": known.to_dict(),
    }
    show(facts if json_ else "\n".join(filter(None, lines)))
