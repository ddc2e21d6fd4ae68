"""What the commands share: the app, options, errors a user can mend, and how answers are shown."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from privhead_nb import targets
from privhead_nb.errors import PrivheadError
from privhead_nb.files import claim, json_text

if TYPE_CHECKING:
    from privhead_nb.scenes.scene import Truth

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
        help="Views that show the face; all others are then neutral. File names or patterns "
        "(img_0003.png,front_*.png), or numbers (0-4,7). Where files aren't numbered 0, 1, 2, ..., "
        "file:1-6 takes the numbers in their names, position:0-5 their places. Overrules "
        "scene.json.",
    ),
]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        help="Layout of the scene folder: h3ds, idr, facescape, blender, nerfstudio or colmap; "
        "auto looks itself.",
    ),
]
ProfileName = Literal["ci", "cpu", "fine", "gpu", "paper"]
Profile = Annotated[
    ProfileName,
    typer.Option(
        "--profile",
        help="Sizes of networks and steps: ci for tests, cpu for a laptop, fine for large pictures "
        "with --start, gpu for a graphics card, paper for the paper's own network. Default: "
        "PRIVHEAD_PROFILE, else cpu.",
        envvar="PRIVHEAD_PROFILE",
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Same seed, same result on a CPU.")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=0, help="Processes, a thread each; default: one a core."),
]


_UNTIL_THE_END = ExitStack()
"""What a command holds until it ends: the locks on its targets."""


def command(
    parent: typer.Typer = app, **options: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command: errors become one line on stderr and an exit code.

    The command gets one more option, --debug, which shows where an error came from.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(*args: Any, debug: bool = False, **kwargs: Any) -> None:
            try:
                function(*args, **kwargs)
                with _answering():
                    sys.stdout.flush()
            except KeyboardInterrupt as error:
                again = "continue with --resume" if run.__name__ == "reconstruct" else str(error)
                print(f"\nprivhead: interrupted{again and '; ' + again}", file=sys.stderr)
                raise typer.Exit(130) from error
            except (PrivheadError, OSError, MemoryError, UnicodeError, RuntimeError) as error:
                line = _line(error)
                if debug or line is None:
                    raise
                print(f"privhead: {line}", file=sys.stderr)
                raise typer.Exit(2) from error
            finally:
                _UNTIL_THE_END.close()

        own = inspect.signature(function, eval_str=True)
        last = inspect.Parameter(
            "debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug
        )
        signature = own.replace(parameters=[*own.parameters.values(), last])
        run.__signature__ = signature  # type: ignore[attr-defined]
        run.__annotations__ = {name: p.annotation for name, p in signature.parameters.items()}
        return parent.command(**options)(run)

    return register


def _line(error: Exception) -> str | None:
    """What to say of an error; None where it is a fault of the package."""
    if isinstance(error, PrivheadError):
        return str(error)
    if isinstance(error, OSError):
        where = "" if error.filename is None else f"{error.filename}: "
        return f"{where}{error.strerror or error}. --debug shows where that happened."
    if isinstance(error, UnicodeError):
        return f"a name or a text has characters that can't be used here ({error})."
    if isinstance(error, RecursionError):
        return "the input is nested too deep."
    if isinstance(error, MemoryError) or "memory" in str(error).lower():  # torch: a RuntimeError
        return "out of memory. Use smaller pictures, a smaller --size or --profile."
    return None


def show(result: dict[str, Any] | str) -> None:
    with _answering():
        print(result if isinstance(result, str) else json_text(result, indent=1), flush=True)


@contextmanager
def _answering() -> Iterator[None]:
    """Whoever reads the answer may have left, which is no fault; or its disk may be full."""
    try:
        yield
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the end
        if not isinstance(error, BrokenPipeError):
            said = f"the answer can't be printed ({error.strerror}); all else is done"
            print(f"privhead: {said}", file=sys.stderr)
            raise typer.Exit(1) from error


def table(facts: dict[str, Any]) -> str:
    """Two columns for a reader, the second one wrapped; numbers to four digits."""

    def shown(value: Any) -> str:
        if isinstance(value, float):
            return f"{value:.4g}"
        if isinstance(value, dict):
            return ", ".join(f"{key}: {shown(entry)}" for key, entry in value.items())
        if isinstance(value, list | tuple):
            return ", ".join(shown(entry) for entry in value) or "none"
        return "-" if value is None else str(value)

    width = max(len(key) for key in facts) + 2
    rest = " " * width
    lines = []
    for key, value in facts.items():
        # File names stay whole, so that they can be searched for and copied.
        entry = textwrap.wrap(shown(value), 88, break_long_words=False, break_on_hyphens=False)
        lines.append(f"{key:<{width}}" + f"\n{rest}".join(entry))
    return "\n".join(lines)


def check_target(out: Path, overwrite: bool) -> None:
    """Refuse a new folder before the work, not after it, and keep other runs from it."""
    targets.check_target(out, overwrite=overwrite)
    _UNTIL_THE_END.enter_context(claim(out))


def claim_target(out: Path, *sources: Path | None) -> None:
    """Keep other runs from a folder until the command ends; it may not be a source, or in one."""
    targets.refuse_inside_sources(out, [source for source in sources if source is not None])
    _UNTIL_THE_END.enter_context(claim(out))


def set_threads(threads: int) -> None:
    """Threads of PyTorch, the kernels and processes started from here; 0: leave them as is."""
    if threads == 0:
        return
    os.environ["OMP_NUM_THREADS"] = str(threads)
    import torch

    torch.set_num_threads(threads)


def read_truth(source: Path, format_: str) -> Truth:
    """The truth mesh of a scene's folder, with its face region, or a mesh file alone."""
    from privhead_nb.geometry.mesh import Mesh
    from privhead_nb.scenes.folder import open_truth
    from privhead_nb.scenes.scene import Truth

    if not source.is_file():
        return open_truth(source, format_)
    mesh = Mesh.load(source)
    return Truth(name=source.name, truth=(mesh.vertices, mesh.faces), unit="unknown")


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
    _check_result(out, name)
    return out / name


def _check_result(out: Path, name: str) -> None:
    """Refuse a mesh that isn't the one which its report was written for."""
    from privhead_nb.reading import read_json
    from privhead_nb.training.reconstruction import FILES, REPORT, check_files

    if name in FILES and (out / REPORT).is_file():
        remedy = "Run `privhead reconstruct` again."
        check_files(out, read_json(out / REPORT, error=PrivheadError, remedy=remedy), (name,))
