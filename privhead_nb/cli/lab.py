"""The privacy lab: attack, and studies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from privhead_nb.cli.common import (
    Json,
    Seed,
    Threads,
    Workers,
    check_target,
    command,
    set_threads,
    show,
    study,
)
from privhead_nb.lab import attacks
from privhead_nb.targets import check_file_target

Truth = Annotated[
    str | None,
    typer.Option("--truth", metavar="PERSON", help="Who it is: tells that person's rank."),
]
MadeFrom = Annotated[
    Path | None,
    typer.Option("--release", metavar="FOLDER", help="What a reconstruction was made from."),
]


@command(epilog=attacks.listed())
def attack(
    source: Annotated[
        Path,
        typer.Argument(metavar="SOURCE", help="A release folder, or a reconstruction's folder."),
    ],
    name: Annotated[
        str, typer.Option("--attack", metavar="NAME", help="One of the names below.")
    ] = attacks.DEFAULT,
    gallery: Annotated[
        str,
        typer.Option(
            metavar="N|FOLDER",
            help="Whom it may name: so many made people (40000, 40001, ...), or a folder of "
            "square PNG pictures framed as a release's views: anna.png, bert_1.png, bert_2.png.",
        ),
    ] = "100",
    people: Annotated[
        int | None,
        typer.Option(
            min=2, help="Other people that it learns from, 100 by default; fewer is quicker."
        ),
    ] = None,
    train: Annotated[
        bool,
        typer.Option("--train", help="Learn anew, although it ships trained; so does --people."),
    ] = False,
    truth: Truth = None,
    views: Annotated[int, typer.Option(min=1, help="How many views are guessed as pictures.")] = 4,
    release: MadeFrom = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="For attack.json and guessed PNG pictures."),
    ] = None,
    seed: Seed = 0,
    workers: Workers = None,
    threads: Threads = 0,
    json_: Json = False,
) -> None:
    """Attack a release or a reconstruction: whom does it show?

    The default ships trained, with a gallery of 100 made people, and takes seconds. Others learn
    from other people first, whose pictures are made once, about 2 seconds a person and core, and
    kept in out/lab (PRIVHEAD_LAB). All that applies at once: privhead audit.
    """
    if out is not None:
        check_target(out, overwrite=False)
    set_threads(threads)
    from privhead_nb.lab.embed import AttackRequest
    from privhead_nb.lab.run_attack import run_attack, text

    request = AttackRequest(
        name,
        gallery,
        truth,
        out,
        release,
        people or 100,
        train or people is not None,
        seed,
        views,
        workers,
    )
    answer = run_attack(source, request)
    show(answer if json_ else text(answer))


@command()
def audit(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE", help="A release, a reconstruction, or a folder that holds both."
        ),
    ],
    gallery: Annotated[
        str,
        typer.Option(
            metavar="N|FOLDER",
            help="Whom it may show: so many made people, of whom 100 ship, or a folder of square "
            "PNG pictures framed as a release's views: anna.png, bert_1.png, bert_2.png.",
        ),
    ] = "100",
    truth: Truth = None,
    release: MadeFrom = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="For audit.html and audit.json.")
    ] = None,
    seed: Seed = 0,
    threads: Threads = 0,
    json_: Json = False,
) -> None:
    """Say what a release gives away: stored rates of all attacks, and the shipped attackers now.

    Nothing is trained: the first answer takes seconds. Where an attacker doesn't know such a
    release, it abstains and says why.
    """
    if out is not None:
        check_target(out, overwrite=False)
    set_threads(threads)
    from privhead_nb.lab.audit import AuditRequest, write_audit
    from privhead_nb.lab.audit_page import text

    request = AuditRequest(gallery, truth, release, out, seed)
    facts = write_audit(source, request, progress=True)
    show(facts if json_ else text(facts))


@command(study)
def privacy(
    small: Annotated[
        bool, typer.Option("--small", help="12 people, two settings: does it run? Minutes.")
    ] = False,
    settings: Annotated[
        str, typer.Option(metavar="NAMES", help="Such as sobel-64,blur-2. Default: all.")
    ] = "",
    attacks: Annotated[
        str,
        typer.Option(
            metavar="NAMES",
            help="Such as parrot-classical,parrot-cnn. Default: all; inversion at some settings.",
        ),
    ] = "",
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Where jobs are kept. Default: in out/lab."),
    ] = None,
    store: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the summary that `protect` reads.")
    ] = None,
    workers: Workers = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="tcp://host:port of a Dask cluster, or local."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Drop results of another version.")
    ] = False,
    json_: Json = False,
) -> None:
    """Operators and sizes against attacks on pictures: the strongest attack of each setting.

    The full study takes hours on two cores. It can be stopped at any time: the same command goes
    on where it was.
    """
    if store is not None:
        check_file_target(store)
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
    show(found if json_ else text(found))
