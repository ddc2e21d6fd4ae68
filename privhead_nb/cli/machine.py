"""This machine: doctor, bench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from privhead_nb.cli.common import (
    Json,
    Threads,
    command,
    set_threads,
    show,
)
from privhead_nb.targets import check_file_target


@command()
def doctor(json_: Json = False) -> None:
    """Say what this machine can run, and how to mend what is missing."""
    from privhead_nb import doctor as machine

    facts = machine.report()
    show(facts if json_ else machine.text(facts))
    if not facts["can_run"]:
        raise typer.Exit(1)


@command()
def bench(
    op: Annotated[
        list[str] | None, typer.Option(help="Only this kernel; may be given again. Default: all.")
    ] = None,
    training: Annotated[
        bool, typer.Option("--training/--no-training", help="Time whole training steps too.")
    ] = False,
    profiles: Annotated[str, typer.Option(help="For --training, such as cpu or gpu,paper.")] = "",
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
        Path | None, typer.Option(metavar="FILE", help="Draw a roofline here.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu or cuda. Default: cuda where there is one.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Tiny sizes: does everything run?")
    ] = False,
    ahead: Annotated[
        int,
        typer.Option(
            metavar="CAPABILITY",
            help="Time nothing: compile the Triton kernels for this GPU (80, 90), which need not "
            "be here, and print their registers and spills.",
        ),
    ] = 0,
    compiled: Annotated[
        bool, typer.Option("--compile/--no-compile", help="Put torch.compile beside the rest.")
    ] = True,
    threads: Threads = 0,
) -> None:
    """Time the kernels beside their references, torch.compile and other libraries."""
    for file in filter(None, (json_file, picture)):
        check_file_target(file)
    set_threads(threads)
    import torch

    from privhead_nb import __version__
    from privhead_nb.bench import cases, harness, show
    from privhead_nb.bench import training as steps
    from privhead_nb.files import atomic_file, write_json

    if ahead:
        from privhead_nb.bench.ahead import compile_all
        from privhead_nb.bench.ahead import table as compiled_table

        rows = compile_all(ahead, tuple(op) if op else cases.OPS)
        print(compiled_table(rows))
        if json_file is not None:
            write_json(
                json_file,
                {"privhead_nb": __version__, "capability": ahead, "kernels": rows},
            )
        return
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    ops = tuple(op) if op else () if training else cases.OPS
    result = harness.run(ops, torch.device(device), quick=quick, compiled=compiled)
    print(show.table(result))
    if training:
        names = (
            tuple(profiles.split(",")) if profiles else ("gpu",) if device == "cuda" else ("cpu",)
        )
        result["training"] = steps.run(device, names, steps=steps_, quick=quick)
        print("\n" + steps.table(result["training"]))
    if json_file is not None:
        write_json(json_file, {"privhead_nb": __version__, **result})
    if picture is not None:
        from privhead_nb.viz.roofline import roofline

        with atomic_file(picture) as aside:
            roofline(result).savefig(aside, dpi=130, metadata={"Software": "privhead_nb"})
