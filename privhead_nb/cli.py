"""The command line: thin, each command calls one function of the package.

torch and the rest are imported inside of the commands, so that `--help` answers at once. With
`--json` a command prints JSON and nothing else on stdout; progress goes to stderr.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from privhead_nb.errors import OutputError, PrivheadError
from privhead_nb.files import refuse_occupied
from privhead_nb.lab import attack_names

if TYPE_CHECKING:
    from privhead_nb.privacy.released import Release
    from privhead_nb.scenes.scene import Scene

app = typer.Typer(
    name="privhead",
    help="From protected photos to a head. The way is one line: "
    "synth (or your own scene) -> protect -> reconstruct -> evaluate. "
    "Start with: privhead demo out/demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

study = typer.Typer(
    help="Studies of the privacy lab; what is finished is kept, and a second call goes on.",
    no_args_is_help=True,
)
app.add_typer(study, name="study")

Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what the target holds.")]
Threads = Annotated[
    int, typer.Option("--threads", min=0, help="CPU threads; 0 takes all cores of this machine.")
]
Sensitive = Annotated[
    str | None,
    typer.Option(
        "--sensitive",
        metavar="VIEWS",
        help="Views that show the face, such as 0-19 or 0-4,7. Needed where the scene has no "
        "scene.json; overrules it otherwise.",
    ),
]
Format = Annotated[
    str,
    typer.Option("--format", help="Layout of the scene folder: h3ds or idr; auto looks itself."),
]
ProfileName = Literal["ci", "cpu", "gpu", "paper"]
Profile = Annotated[
    ProfileName,
    typer.Option(
        "--profile",
        help="Sizes of networks and steps: ci for tests, cpu for a laptop, gpu for a graphics "
        "card, paper for the paper's own network. Default: PRIVHEAD_PROFILE, else cpu.",
        envvar="PRIVHEAD_PROFILE",
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Same seed, same result on a CPU.")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=0, help="Processes, a thread each; default: one a core."),
]


def _guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Turn the errors that a user can mend into one line on stderr and an exit code."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except PrivheadError as error:
            if kwargs.get("debug"):
                raise
            print(f"privhead: {error}", file=sys.stderr)
            raise typer.Exit(2) from error
        except KeyboardInterrupt as error:
            again = "continue with --resume" if command.__name__ == "reconstruct" else str(error)
            print(f"\nprivhead: interrupted{again and '; ' + again}", file=sys.stderr)
            raise typer.Exit(130) from error

    return run


@app.command()
@_guarded
def doctor(json_: Json = False, debug: Debug = False) -> None:
    """Say what this machine can run, and how to mend what is missing."""
    from privhead_nb import doctor as machine

    facts = machine.report()
    _answer(facts if json_ else machine.text(facts))
    if not facts["can_run"]:
        raise typer.Exit(1)


@app.command()
@_guarded
def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to make.")],
    identity: Annotated[
        int, typer.Option("--identity", min=0, help="Number of the made person.")
    ] = 0,
    neutral: Annotated[
        int, typer.Option("--neutral", min=0, help="Views from behind, which show no face.")
    ] = 10,
    sensitive: Annotated[
        int, typer.Option("--sensitive", min=1, help="Views that show the face.")
    ] = 20,
    size: Annotated[
        int, typer.Option("--size", min=16, max=2048, help="Width and height in pixels.")
    ] = 64,
    rig: Annotated[
        Literal["facescape", "h3ds", "orbit"],
        typer.Option("--rig", help="Where the cameras stand."),
    ] = "facescape",
    light: Annotated[str, typer.Option("--light", help="Name of a light.")] = "studio",
    seed: Annotated[
        int, typer.Option("--seed", min=0, help="Moves the cameras a little; 0 leaves them.")
    ] = 0,
    overwrite: Overwrite = False,
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Make a scene of a head that belongs to nobody: pictures, masks, cameras and truth mesh."""
    _check_target(out, overwrite)
    from privhead_nb.scenes.scene import scene_facts
    from privhead_nb.scenes.synthetic import synthetic_scene

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
    _answer({"out": str(out), **scene_facts(scene)} if json_ else said)


@app.command()
@_guarded
def inspect(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A scene folder or a release folder.")
    ],
    picture: Annotated[
        Path | None,
        typer.Option("--picture", metavar="FILE", help="Draw all views and cameras into this PNG."),
    ] = None,
    sensitive: Sensitive = None,
    format_: Format = "auto",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """List what a scene or a release holds; draw cameras, sphere and mesh over the pictures."""
    from privhead_nb.privacy.released import Release, release_facts
    from privhead_nb.scenes.scene import scene_facts

    loaded = _read_source(source, sensitive, format_)
    facts = release_facts(loaded) if isinstance(loaded, Release) else scene_facts(loaded)
    if picture is not None:
        from privhead_nb.teach.inspect import inspect_release, inspect_scene

        if picture.suffix.lower() != ".png":
            raise OutputError("can only be drawn as PNG", where=picture, remedy="End it in .png.")
        if isinstance(loaded, Release):
            inspect_release(loaded, picture)
        else:
            inspect_scene(loaded, picture)
        facts["picture"] = str(picture)
    _answer(facts if json_ else _table(facts))


@app.command()
@_guarded
def protect(
    scene: Annotated[Path, typer.Argument(metavar="SCENE", help="Scene folder; only read.")],
    release: Annotated[Path, typer.Argument(metavar="RELEASE", help="Release folder to make.")],
    operator: Annotated[
        Literal["sobel", "scharr", "prewitt", "roberts", "central", "gaussian", "dog"],
        typer.Option("--operator", help="What sensitive views become the gradient modulus of."),
    ] = "sobel",
    size: Annotated[
        int, typer.Option("--size", min=16, max=512, help="Width and height of released views.")
    ] = 64,
    masks: Annotated[
        Literal["none", "neutral", "all"],
        typer.Option("--masks", help="Which foreground masks are released too."),
    ] = "neutral",
    kernel_size: Annotated[
        int, typer.Option("--kernel-size", help="Pixels, odd; 0 takes the operator's own.")
    ] = 0,
    sigma: Annotated[
        float, typer.Option("--sigma", help="Width of gaussian and dog, in pixels.")
    ] = 1.0,
    single_channel: Annotated[
        bool, typer.Option("--single-channel", help="Gradient of brightness, not of R, G and B.")
    ] = False,
    border: Annotated[
        Literal["reflect", "replicate", "zero"],
        typer.Option("--border", help="What stands outside of the picture."),
    ] = "reflect",
    blur: Annotated[
        float, typer.Option("--blur", help="Gaussian blur before the gradient, in pixels.")
    ] = 0.0,
    background: Annotated[
        Literal["kept", "flat"],
        typer.Option("--background", help="flat: the scene's plain colour outside of the mask."),
    ] = "kept",
    downsample: Annotated[
        Literal["first", "last"],
        typer.Option("--downsample", help="Make the picture small before or after the operator."),
    ] = "first",
    noise: Annotated[
        float, typer.Option("--noise", help="Gaussian noise on the modulus (colours are 0 to 1).")
    ] = 0.0,
    levels: Annotated[
        int, typer.Option("--levels", help="Round the modulus to so many levels; 0 does not.")
    ] = 0,
    named: Annotated[
        str,
        typer.Option(
            "--setting",
            help="A studied setting, or 'recommended': sets operator, its options and size.",
        ),
    ] = "",
    sensitive: Sensitive = None,
    format_: Format = "auto",
    overwrite: Overwrite = False,
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Write a release: neutral views as RGB, sensitive views as gradient modulus only.

    Run this on the device that holds the photos. The release is all that has to leave it.
    """
    from privhead_nb.lab import advice
    from privhead_nb.privacy.operators import Operator
    from privhead_nb.privacy.release import protect_folder
    from privhead_nb.privacy.released import release_facts

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
        chosen, size = advice.named(named)
    made = protect_folder(
        scene,
        release,
        chosen,
        size=size,
        masks=masks,
        overwrite=overwrite,
        sensitive=sensitive,
        format=format_,
    )
    said = (
        f"{release}: {len(made.neutral)} neutral views as RGB, {len(made.sensitive)} sensitive "
        f"views as {chosen.kind} modulus only, {size} x {size} pixels; masks released: {masks}.\n"
    )
    known = advice.advice(made.operator, made.size)
    lines = [str(known), advice.suggestion(made.operator, made.size)]
    said += "\n".join([*filter(None, lines), f"Next: privhead reconstruct {release} OUT"])
    study = known.to_dict() | {"recommended": advice.recommendation()}
    facts = {"out": str(release), **release_facts(made), "study": study}
    _answer(facts if json_ else said)


@app.command()
@_guarded
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
        typer.Option("--baseline", help="Train on every picture of a scene, for comparison."),
    ] = None,
    size: Annotated[
        int, typer.Option("--size", min=16, max=512, help="Picture size of the baseline.")
    ] = 64,
    template: Annotated[
        Path | None,
        typer.Option(
            "--template",
            metavar="FOLDER",
            help="Start from this template (see `privhead template`), with stage 2 alone.",
        ),
    ] = None,
    stages: Annotated[
        Literal["1,2", "1", "2"] | None,
        typer.Option("--stages", help="Default: 1,2; with --template: 2."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in OUT.")
    ] = False,
    sensitive: Sensitive = None,
    format_: Format = "auto",
    overwrite: Overwrite = False,
    threads: Threads = 0,
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Train a head from a release and write mesh.ply, stage1.ply, field.safetensors, report.json.

    Stage 1 learns the coarse shape from neutral views, stage 2 the face from gradient moduli.
    Without neutral views, a template head stands in for stage 1: --template.
    Ctrl-C keeps the last checkpoint; the same command with --resume goes on from it.
    """
    _set_threads(threads)
    from privhead_nb.training.two_stage import reconstruct as train
    from privhead_nb.training.two_stage import reconstruct_full_rgb

    if baseline is None:
        from privhead_nb.privacy.released import Release

        made = train(
            Release.load(source),
            profile,
            seed=seed,
            out=out,
            resume=resume,
            overwrite=overwrite,
            stages=None if stages is None else tuple(int(n) for n in stages.split(",")),
            template=template,
        )
    elif template is not None or stages is not None:
        raise PrivheadError(
            "the full-RGB baseline has no stages and starts from a sphere",
            where="--baseline",
            remedy="Leave --template and --stages out.",
        )
    else:
        from privhead_nb.scenes.scene import load_scene

        made = reconstruct_full_rgb(
            load_scene(source, sensitive=sensitive, format=format_, size=size),
            profile,
            seed=seed,
            size=size,
            out=out,
            resume=resume,
            overwrite=overwrite,
        )
    said = (
        f"{out / 'mesh.ply'}: {len(made.mesh.faces)} triangles, "
        f"{made.report['seconds_total']:.0f} seconds of training.\n"
        f"Next: privhead evaluate {out} --truth SCENE"
    )
    _answer({"out": str(out), **made.report} if json_ else said)


@app.command()
@_guarded
def template(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the template.")],
    identities: Annotated[
        str,
        typer.Option(
            "--identities",
            metavar="PEOPLE",
            help="Numbers of made people, as 901-910 or 3,5,8-9; leave out whom you reconstruct.",
        ),
    ] = "901-910",
    kind: Annotated[
        Literal["mean", "trained"],
        typer.Option(
            "--kind",
            help="mean: their mean signed distance. trained: one field for all their pictures, "
            "faces too (made heads: nobody's).",
        ),
    ] = "mean",
    profile: Profile = "cpu",
    seed: Seed = 0,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Of the fit or training; default: its own.")
    ] = None,
    overwrite: Overwrite = False,
    threads: Threads = 0,
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Make a neutral head of several made people, for releases that have no neutral view.

    A template fits the profiles ci, cpu and gpu alike; the paper profile's network needs its own.
    """
    _check_target(out, overwrite)
    _set_threads(threads)
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
    _answer({"out": str(out), "bytes": size, **made.made} if json_ else said)


@app.command()
@_guarded
def evaluate(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="A reconstruction's folder, or a mesh file.")
    ],
    truth: Annotated[
        Path, typer.Option("--truth", metavar="SCENE", help="Scene folder with the truth mesh.")
    ],
    protocol: Annotated[
        Literal["surface", "h3ds"],
        typer.Option(
            "--protocol",
            help="surface: exact, both ways, with normals. h3ds: as that data set's toolkit.",
        ),
    ] = "surface",
    region: Annotated[
        Literal["face", "head"],
        typer.Option("--region", help="face: the ball around the nose tip. head: everything."),
    ] = "face",
    mesh: Annotated[
        str, typer.Option("--mesh", metavar="NAME", help="Another mesh in OUT, as stage1.ply.")
    ] = "mesh.ply",
    align: Annotated[
        Literal["known", "icp"],
        typer.Option("--align", help="known: trust the cameras. icp: first move mesh to truth."),
    ] = "known",
    samples: Annotated[
        int, typer.Option("--samples", min=1000, help="Points on each mesh.")
    ] = 200_000,
    seed: Seed = 0,
    sensitive: Sensitive = None,
    format_: Format = "auto",
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Measure how far a mesh is from the truth, in the scene's unit and in degrees."""
    path = _mesh_path(out, mesh)
    from privhead_nb.geometry.mesh import Mesh
    from privhead_nb.geometry.metrics import evaluate_mesh

    result = evaluate_mesh(
        Mesh.load(path),
        _load_scene(truth, sensitive, format_),
        protocol=protocol,
        region=region,
        samples=samples,
        seed=seed,
        align=align,
    ).to_dict()
    _answer(result if json_ else _table(result))


@app.command()
@_guarded
def demo(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for all that it makes.")],
    identity: Annotated[
        int, typer.Option("--identity", min=0, help="Number of the made person.")
    ] = 7,
    profile: Profile = "cpu",
    seed: Seed = 0,
    overwrite: Overwrite = False,
    threads: Threads = 0,
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """The whole way once, in a few minutes: make a head, protect, reconstruct, measure, draw."""
    _check_target(out, overwrite)
    _set_threads(threads)
    from privhead_nb.teach.demo import run_demo, table

    result = run_demo(out, identity=identity, profile=profile, seed=seed, overwrite=overwrite)
    files = f"{out / 'mesh.ply'}: the head. {out / 'page.png'}: the pictures."
    _answer(result if json_ else f"{table(result)}\n\n{files}")


@app.command(epilog=attack_names.listed())
@_guarded
def attack(
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE", help="A release folder, or a reconstruction's folder."),
    ],
    name: Annotated[
        str, typer.Option("--attack", metavar="NAME", help="One of the names below.")
    ] = attack_names.DEFAULT,
    gallery: Annotated[
        str,
        typer.Option(
            "--gallery",
            metavar="N|FOLDER",
            help="Whom it may name: so many made people (40000, 40001, ...), or a folder of "
            "square PNG pictures framed as a release's views: anna.png, bert_1.png, bert_2.png.",
        ),
    ] = "100",
    people: Annotated[
        int,
        typer.Option("--people", min=2, help="Other people that it learns from; fewer is quicker."),
    ] = 100,
    truth: Annotated[
        str | None,
        typer.Option("--truth", metavar="PERSON", help="Who it is: tells that person's rank."),
    ] = None,
    views: Annotated[
        int, typer.Option("--views", min=1, help="How many views are guessed as pictures.")
    ] = 4,
    release: Annotated[
        Path | None,
        typer.Option("--release", metavar="FOLDER", help="What a reconstruction was made from."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="For attack.json and guessed PNG pictures."),
    ] = None,
    seed: Seed = 0,
    workers: Workers = None,
    threads: Threads = 0,
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Attack a release or a reconstruction: whom does it show?

    The attack learns from other people first. Pictures of them and of the gallery are made once,
    about 2 seconds a person and core, and kept in out/lab (PRIVHEAD_LAB).
    """
    if out is not None:
        _check_target(out, overwrite=False)
    _set_threads(threads)
    from privhead_nb.lab.attacks_on_releases import How
    from privhead_nb.lab.run_attack import Asked, run_attack, text

    how = How(people, seed, views, guesses=out is not None, workers=workers)
    answer = run_attack(source, Asked(name, gallery, truth, out, release, how))
    _answer(answer if json_ else text(answer))


@study.command()
@_guarded
def privacy(
    small: Annotated[
        bool, typer.Option("--small", help="12 people, two settings: does it run? Minutes.")
    ] = False,
    settings: Annotated[
        str,
        typer.Option("--settings", metavar="NAMES", help="Such as sobel-64,blur-2. Default: all."),
    ] = "",
    attacks: Annotated[
        str,
        typer.Option(
            "--attacks",
            metavar="NAMES",
            help="Such as parrot-classical,parrot-cnn. Default: all; inversion at some settings.",
        ),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Where jobs are kept. Default: in out/lab."),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option("--store", metavar="FILE", help="Write the summary that `protect` reads."),
    ] = None,
    workers: Workers = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler", metavar="ADDRESS", help="tcp://host:port of a Dask cluster, or local."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Drop results of another version.")
    ] = False,
    json_: Json = False,
    debug: Debug = False,
) -> None:
    """Operators and sizes against attacks on pictures: the strongest attack of each setting.

    The full study takes hours on two cores. It can be stopped at any time: the same command goes
    on where it was.
    """
    from privhead_nb.lab.privacy_study import study_privacy, text

    found = study_privacy(
        small=small,
        settings=settings,
        attacks=attacks,
        folder=out,
        store=store,
        workers=workers,
        scheduler=scheduler,
        overwrite=overwrite,
    )
    _answer(found if json_ else text(found))


@app.command()
@_guarded
def bench(
    op: Annotated[
        list[str] | None,
        typer.Option("--op", help="Only this kernel; may be given again. Default: all."),
    ] = None,
    training: Annotated[
        bool,
        typer.Option("--training/--no-training", help="Time whole training steps too."),
    ] = False,
    profiles: Annotated[
        str, typer.Option("--profiles", help="For --training, such as cpu or gpu,paper.")
    ] = "",
    steps_: Annotated[
        int,
        typer.Option(
            "--steps", min=1, help="For --training: timed steps; below 20 growth is left out."
        ),
    ] = 60,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the figures here.")
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE", help="Draw a roofline here.")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="cpu or cuda. Default: cuda where there is one.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Tiny sizes: does everything run?")
    ] = False,
    ahead: Annotated[
        int,
        typer.Option(
            "--ahead",
            metavar="CAPABILITY",
            help="Time nothing: compile the Triton kernels for this GPU (80, 90), which need not "
            "be here, and print their registers and spills.",
        ),
    ] = 0,
    compiled: Annotated[
        bool, typer.Option("--compile/--no-compile", help="Put torch.compile beside the rest.")
    ] = True,
    threads: Threads = 0,
    debug: Debug = False,
) -> None:
    """Time the kernels beside their references, torch.compile and other libraries."""
    _set_threads(threads)
    import torch

    from privhead_nb.bench import harness, show
    from privhead_nb.bench import training as steps
    from privhead_nb.files import write_json

    if ahead:
        from privhead_nb.bench.ahead import compile_all
        from privhead_nb.bench.ahead import table as compiled_table

        rows = compile_all(ahead, tuple(op) if op else harness.OPS)
        print(compiled_table(rows))
        if json_file is not None:
            write_json(json_file, {"capability": ahead, "kernels": rows})
        return
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    ops = tuple(op) if op else () if training else harness.OPS
    result = harness.run(ops, torch.device(device), quick=quick, compiled=compiled)
    print(show.table(result))
    if training:
        names = (
            tuple(profiles.split(",")) if profiles else ("gpu",) if device == "cuda" else ("cpu",)
        )
        result["training"] = steps.run(device, names, steps=steps_, quick=quick)
        print("\n" + steps.table(result["training"]))
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        write_json(json_file, result)
    if picture is not None:
        from privhead_nb.teach.figures.kernel_plots import stored_roofline

        picture.parent.mkdir(parents=True, exist_ok=True)
        stored_roofline(result).savefig(picture, dpi=130)


def main() -> None:
    """Entry point of `privhead`."""
    app()


def _answer(result: dict[str, Any] | str) -> None:
    print(result if isinstance(result, str) else json.dumps(result, indent=1))


def _table(facts: dict[str, Any]) -> str:
    """Two columns for a reader; numbers to four digits."""

    def shown(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.4g}"
        if isinstance(value, dict):
            return ", ".join(f"{key}: {shown(entry)}" for key, entry in value.items())
        if isinstance(value, list | tuple):
            return ", ".join(shown(entry) for entry in value) or "none"
        return "-" if value is None else str(value)

    width = max(len(key) for key in facts) + 2
    return "\n".join(f"{key:<{width}}{shown(value)}" for key, value in facts.items())


def _check_target(out: Path, overwrite: bool) -> None:
    """Refuse a target before the work, not after it."""
    refuse_occupied(out, overwrite=overwrite)
    parent = next(p for p in [out, *out.absolute().parents] if p.exists())
    if not os.access(parent, os.W_OK):
        raise OutputError(
            "no permission to write here",
            where=parent,
            remedy="Name a target in a folder that you may write to.",
        )


def _set_threads(threads: int) -> None:
    if threads == 0:
        return
    os.environ["OMP_NUM_THREADS"] = os.environ["NUMBA_NUM_THREADS"] = str(threads)
    import torch

    torch.set_num_threads(threads)


def _load_scene(folder: Path, sensitive: str | None, format_: str) -> Scene:
    from privhead_nb.scenes.scene import load_scene

    return load_scene(folder, sensitive=sensitive, format=format_)


def _read_source(folder: Path, sensitive: str | None, format_: str) -> Scene | Release:
    """A release where there is a release.json, else a scene."""
    from privhead_nb.privacy.released import Release

    if (folder / "release.json").is_file():
        return Release.load(folder)
    return _load_scene(folder, sensitive, format_)


def _mesh_path(out: Path, name: str) -> Path:
    """The mesh file that `evaluate OUT --mesh NAME` means."""
    if out.is_file():
        return out
    if not out.is_dir():
        raise PrivheadError("there is no such folder", where=out, remedy="Check the path.")
    if not (out / name).is_file():
        there = sorted(p.name for p in out.iterdir() if p.suffix in (".ply", ".obj", ".glb"))
        raise PrivheadError(
            f"there is no {name} in this folder",
            where=out,
            remedy=f"It holds {', '.join(there)}: name one with --mesh."
            if there
            else "Name the OUT folder of a finished `privhead reconstruct`.",
        )
    return out / name
