"""From a release to a head and its distance: reconstruct, template, evaluate, demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from privhead_nb.cli.common import (
    Format,
    Json,
    Overwrite,
    Profile,
    Seed,
    Sensitive,
    Threads,
    check_target,
    claim_target,
    command,
    mesh_path,
    read_truth,
    set_threads,
    show,
    table,
)
from privhead_nb.errors import PrivheadError


@command()
def reconstruct(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE", help="A release folder; with --baseline, a whole scene folder."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the result.")],
    profile: Profile = "cpu",
    seed: Seed = 0,
    baseline: Annotated[
        Literal["full-rgb"] | None,
        typer.Option(help="Train on every picture of a scene, for comparison."),
    ] = None,
    size: Annotated[int, typer.Option(min=16, max=512, help="Picture size of the baseline.")] = 64,
    template: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Start from this template (see `privhead template`), with stage 2 alone.",
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Go on from this earlier result, from smaller pictures, with stage 2 alone.",
        ),
    ] = None,
    stages: Annotated[
        Literal["1,2", "1", "2"] | None,
        typer.Option(help="Default: 1,2; with --template or --start: 2."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in OUT.")
    ] = False,
    sensitive: Sensitive = None,
    format_: Format = "auto",
    overwrite: Overwrite = False,
    threads: Threads = 0,
    json_: Json = False,
) -> None:
    """Train a head from a release and write mesh.ply, stage1.ply, field.safetensors, report.json.

    Stage 1 learns the coarse shape from neutral views, stage 2 the face from gradient moduli.
    Without neutral views, a template head stands in for stage 1: --template.
    Of pictures larger than 64 pixels: first a release of 64, then --start with its result.
    Ctrl-C keeps the last checkpoint; the same command with --resume goes on from it.
    """
    claim_target(out, source, template, start)
    set_threads(threads)
    from privhead_nb.training.two_stage import reconstruct as train
    from privhead_nb.training.two_stage import reconstruct_full_rgb

    how: dict[str, Any] = {"seed": seed, "out": out, "resume": resume, "overwrite": overwrite}
    if baseline is None:
        from privhead_nb.privacy.release import Release

        made = train(
            Release.load(source),
            profile,
            stages=None if stages is None else tuple(int(n) for n in stages.split(",")),
            template=template,
            start=start,
            **how,
        )
    elif template is not None or start is not None or stages is not None:
        raise PrivheadError(
            "the full-RGB baseline has no stages and starts from a sphere",
            where="--baseline",
            remedy="Leave --template, --start and --stages out.",
        )
    else:
        from privhead_nb.scenes.folder import load_scene

        scene = load_scene(source, sensitive=sensitive, format=format_, size=size)
        made = reconstruct_full_rgb(scene, profile, size=size, **how)
    said = (
        f"{out / 'mesh.ply'}: {len(made.mesh.faces)} triangles, "
        f"{made.report['seconds_total']:.0f} seconds of training.\n"
        f"Next: privhead evaluate {out} --truth SCENE"
    )
    show({"out": str(out), **made.report} if json_ else said)


@command()
def template(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the template.")],
    identities: Annotated[
        str,
        typer.Option(
            metavar="PEOPLE",
            help="Numbers of made people, as 901-910 or 3,5,8-9; leave out whom you reconstruct.",
        ),
    ] = "901-910",
    kind: Annotated[
        Literal["mean", "trained"],
        typer.Option(
            help="mean: their mean signed distance. trained: one field for all their pictures, "
            "faces too (made heads: nobody's)."
        ),
    ] = "mean",
    profile: Profile = "cpu",
    seed: Seed = 0,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Of the fit or training; default: its own.")
    ] = None,
    overwrite: Overwrite = False,
    threads: Threads = 0,
    json_: Json = False,
) -> None:
    """Make a neutral head of several made people, for releases that have no neutral view.

    A template fits the profiles ci, cpu and gpu alike; the paper profile's network needs its own.
    """
    check_target(out, overwrite)
    set_threads(threads)
    from privhead_nb.training.make_template import make_template, parse_identities

    made = make_template(
        parse_identities(identities), kind, seed=seed, profile=profile, steps=steps, progress=True
    )
    made.save(out, overwrite=overwrite)
    size = sum(p.stat().st_size for p in out.iterdir())
    said = (
        f"{out}: the {kind} template of {len(made.made['identities'])} made people, "
        f"{size / 1000:.0f} kB.\nNext: privhead reconstruct RELEASE OUT --template {out}"
    )
    show({"out": str(out), "bytes": size, **made.made} if json_ else said)


@command()
def evaluate(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="A reconstruction's folder, or a mesh file.")
    ],
    truth: Annotated[
        Path,
        typer.Option(
            metavar="SCENE",
            help="Scene folder with the truth mesh; or a mesh file, for --region head.",
        ),
    ],
    protocol: Annotated[
        Literal["surface", "h3ds"],
        typer.Option(
            help="surface: exact, both ways, with normals. h3ds: as that data set's toolkit."
        ),
    ] = "surface",
    region: Annotated[
        Literal["face", "head"],
        typer.Option(help="face: the ball around the nose tip. head: everything."),
    ] = "face",
    mesh: Annotated[
        str, typer.Option(metavar="NAME", help="Another mesh in OUT, as stage1.ply.")
    ] = "mesh.ply",
    align: Annotated[
        Literal["known", "icp"],
        typer.Option(help="known: trust the cameras. icp: first move mesh to truth."),
    ] = "known",
    samples: Annotated[int, typer.Option(min=1000, help="Points on each mesh.")] = 200_000,
    seed: Seed = 0,
    format_: Format = "auto",
    json_: Json = False,
) -> None:
    """Measure how far a mesh is from the truth, in the scene's unit and in degrees.

    No picture of the scene is read.
    """
    path = mesh_path(out, mesh)
    from privhead_nb.geometry.mesh import Mesh
    from privhead_nb.geometry.metrics import evaluate

    result = evaluate(
        Mesh.load(path),
        read_truth(truth, format_),
        protocol=protocol,
        region=region,
        samples=samples,
        seed=seed,
        align=align,
    ).to_dict()
    show(result if json_ else table(result))


@command()
def demo(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for all that it makes.")],
    identity: Annotated[int, typer.Option(min=0, help="Number of the made person.")] = 7,
    profile: Profile = "cpu",
    seed: Seed = 0,
    overwrite: Overwrite = False,
    threads: Threads = 0,
    json_: Json = False,
) -> None:
    """The whole way once, in a few minutes: make a head, protect, reconstruct, measure, draw."""
    check_target(out, overwrite)
    set_threads(threads)
    from privhead_nb.cli.demo import run_demo, table

    result = run_demo(out, identity=identity, profile=profile, seed=seed, overwrite=overwrite)
    files = f"{out / 'mesh.ply'}: the head. {out / 'page.png'}: the pictures."
    show(result if json_ else f"{table(result)}\n\n{files}")
