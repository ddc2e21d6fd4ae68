"""The compared systems at the command line: deidentify, recover."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from privhead_nb.cli.common import (
    Json,
    Overwrite,
    Seed,
    Threads,
    check_target,
    command,
    set_threads,
    show,
)
from privhead_nb.deid import NAMES

Passphrase = Annotated[
    str | None,
    typer.Option(
        "--passphrase",
        envvar="PRIVHEAD_PASSPHRASE",
        help="Of g2face: locks what is hidden in the picture. Others on this machine may read a "
        "command line; PRIVHEAD_PASSPHRASE in the environment keeps it off.",
    ),
]


@command(epilog=f"Methods: {', '.join(NAMES)}. What they protect: docs/compared-systems.md")
def deidentify(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="PICTURES",
            help="A folder of square portraits of made heads, framed as a release's views, or one.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the PNG pictures.")],
    method: Annotated[str, typer.Option(metavar="NAME", help="One of the names below.")],
    strength: Annotated[
        float | None,
        typer.Option(
            help="Of the method's own kind: pixels (blur, pixelate), k (k-same), noise (modulus), "
            "way to the dummy (g2face), tau (aware3d). Default: its paper's."
        ),
    ] = None,
    group: Annotated[
        bool, typer.Option("--group", help="All pictures show one person, and shall go on to.")
    ] = False,
    passphrase: Passphrase = None,
    force: Annotated[
        bool, typer.Option("--force", help="Go on where a picture is no such portrait.")
    ] = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    threads: Threads = 0,
    json_: Json = False,
) -> None:
    """Give the people in pictures another identity, by a compared system or a usual baseline.

    These are small models of made heads, to be studied and attacked: not for anybody's photographs.
    """
    check_target(out, overwrite)
    set_threads(threads)
    from privhead_nb.deid.files import Request
    from privhead_nb.deid.files import deidentify as run

    request = Request(method, strength, group, seed, force, passphrase)
    facts = run(source, out, request, overwrite=overwrite)
    said = f"{out}: {len(facts['pictures'])} pictures by {method}, strength {facts['strength']:g}."
    for name, why in facts["out_of_domain"].items():
        said += f"\n{name}: not of the kind that these models know, forced: {why}"
    said += "\nWhat it protects against whom: docs/compared-systems.md"
    show({"out": str(out), **facts} if json_ else said)


@command()
def recover(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="ANONYMISED",
            help="PNG pictures by deidentify --method g2face: a folder, or one.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for what is recovered.")],
    passphrase: Passphrase = None,
    overwrite: Overwrite = False,
    threads: Threads = 0,
    json_: Json = False,
) -> None:
    """Recover the faces that g2face hid in its pictures; where that fails nothing is written.

    A wrong passphrase, a picture that was never anonymised, or one that was compressed since, is
    reported as not recovered, by name.
    """
    check_target(out, overwrite)
    set_threads(threads)
    from privhead_nb.deid.files import recover as run

    facts = run(source, out, passphrase, overwrite=overwrite)
    said = f"{out}: {len(facts['recovered'])} of {facts['pictures']} pictures recovered."
    for name, why in facts["not_recovered"].items():
        said += f"\n{name}: not recovered: {why}"
    show({"out": str(out), **facts} if json_ else said)
