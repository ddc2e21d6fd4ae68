"""What the commands share: the app, options, errors a user can mend, and how answers are shown."""

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


def guarded(command: Callable[..., None]) -> Callable[..., None]:
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


def show(result: dict[str, Any] | str) -> None:
    print(result if isinstance(result, str) else json.dumps(result, indent=1))


def table(facts: dict[str, Any]) -> str:
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


def check_target(out: Path, overwrite: bool) -> None:
    """Refuse a target before the work, not after it."""
    refuse_occupied(out, overwrite=overwrite)
    parent = next(p for p in [out, *out.absolute().parents] if p.exists())
    if not os.access(parent, os.W_OK):
        raise OutputError(
            "no permission to write here",
            where=parent,
            remedy="Name a target in a folder that you may write to.",
        )


def set_threads(threads: int) -> None:
    if threads == 0:
        return
    os.environ["OMP_NUM_THREADS"] = os.environ["NUMBA_NUM_THREADS"] = str(threads)
    import torch

    torch.set_num_threads(threads)


def read_scene(folder: Path, sensitive: str | None, format_: str) -> Scene:
    from privhead_nb.scenes.scene import load_scene

    return load_scene(folder, sensitive=sensitive, format=format_)


def read_source(folder: Path, sensitive: str | None, format_: str) -> Scene | Release:
    """A release where there is a release.json, else a scene."""
    from privhead_nb.privacy.released import Release

    if (folder / "release.json").is_file():
        return Release.load(folder)
    return read_scene(folder, sensitive, format_)


def mesh_path(out: Path, name: str) -> Path:
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
