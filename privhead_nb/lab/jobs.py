"""The jobs of a study: run side by side, each result stored when it is there, resumed by default.

A result is a file `folder/<key>.json` that names the version it was made with. A worker that dies
loses no finished result; a second run of the same command does only what is missing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from privhead_nb.errors import LabError
from privhead_nb.files import write_json
from privhead_nb.lab.job_cluster import on_cluster
from privhead_nb.lab.job_workers import (
    Attempt,
    Attempts,
    Round,
    Work,
    in_processes,
    in_this_process,
)
from privhead_nb.reading import read_json

FORMAT = 1
NAMED = 8  # failed jobs that an error names
_PLAIN = re.compile(r"(?!(con|prn|aux|nul|com\d|lpt\d)(\.|$))[a-z0-9][a-z0-9._-]{0,79}")


def run_jobs(
    jobs: Mapping[str, Any],
    work: Work,
    folder: str | Path,
    *,
    version: dict[str, Any],
    workers: int | None = None,
    scheduler: str | None = None,
    progress: bool = True,
    desc: str = "jobs",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Do what `folder` has no result of yet, and return all results in the order of `jobs`.

    A job whose worker died is tried once more, alone, after all the others. Results are what JSON
    gives back, so that a stored one equals a new one: tuples are lists, keys are strings.

    Args:
        jobs: key -> what the job is given (picklable).
        work: a function at the top level of a module; returns a dict that JSON can hold.
        folder: where results are stored, one file a job.
        version: what must be the same for a stored result to count: a generator's version, a
            fingerprint of the settings.
        workers: processes on this machine, one thread each; None takes one a core, 0 or 1 runs in
            this process.
        scheduler: "tcp://host:port" of a Dask scheduler, or "local" for a Dask cluster of `workers`
            processes on this machine.
        progress: show a bar, except under PRIVHEAD_PROFILE=ci.
        desc: what the bar is called.
        overwrite: drop stored results of another version, and such as can't be read.

    Raises:
        LabError: a stored result is of another version or broken; or jobs failed, after all others
            were finished and stored.
        OutputError: a result can't be written.
        KeyboardInterrupt: at once; what is finished is kept.
    """
    folder = Path(folder)
    if workers is not None and workers < 0:
        raise LabError(f"there are no {workers} workers", where="workers", remedy="Use 0 or more.")
    wanted = json.loads(json.dumps(version))
    paths = {key: folder / f"{safe_name(key)}.json" for key in jobs}
    stored = {key: _read(path, key, wanted, overwrite) for key, path in paths.items()}
    results = {key: record["result"] for key, record in stored.items() if record is not None}
    failed: dict[str, Attempt] = {}
    missing = {key: argument for key, argument in jobs.items() if key not in results}
    bar = tqdm(
        total=len(jobs),
        initial=len(results),
        desc=desc,
        disable=not progress or os.environ.get("PRIVHEAD_PROFILE") == "ci",
        file=sys.stderr,
    )
    with bar, closing(_attempts(missing, work, workers, scheduler)) as attempts:
        try:
            for key, made in attempts:
                if made.text is None:
                    failed[key] = made
                else:
                    results[key] = json.loads(made.text)
                    _write(paths[key], key, wanted, made.seconds, results[key])
                bar.update()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"{len(results)} of {len(jobs)} jobs are finished and kept in {folder}; "
                "run the same command again for the rest"
            ) from None
    if failed:
        raise _report({key: failed[key] for key in jobs if key in failed}, len(results), folder)
    return {key: results[key] for key in jobs}


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def safe_name(key: str) -> str:
    """A file name for any key: itself if that is plain, else what is plain of it and a hash.

    The two kinds can't meet, for a plain one has no "~"; nor can keys that differ by case only, on
    a disk that ignores it.
    """
    if _PLAIN.fullmatch(key):
        return key
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return re.sub(r"[^a-z0-9]+", "-", key.lower())[:40].strip("-") + f"~{digest}"


def _attempts(
    jobs: Mapping[str, Any], work: Work, workers: int | None, scheduler: str | None
) -> Attempts:
    """Every job once; those whose worker died a second time, alone: neither memory nor blame is
    then another's."""
    if not jobs:
        return
    died: list[str] = []
    with _place(work, workers, scheduler) as round_:
        with closing(round_(jobs)) as first:
            for key, made in first:
                if made.died:
                    died.append(key)
                else:
                    yield key, made
        for key in died:
            with closing(round_({key: jobs[key]})) as second:
                yield from second


@contextmanager
def _place(work: Work, workers: int | None, scheduler: str | None) -> Iterator[Round]:
    """Where the jobs run."""
    if scheduler is not None:
        with on_cluster(work, scheduler, workers or cores()) as round_:
            yield round_
    elif workers is not None and workers <= 1:
        yield in_this_process(work)
    else:
        yield in_processes(work, workers or cores())


def _read(path: Path, key: str, version: dict[str, Any], overwrite: bool) -> dict[str, Any] | None:
    """The stored record of a job, or None where there is none (or it was dropped).

    Raises:
        LabError: it is broken, another job's, or of another version, and `overwrite` is false.
    """
    if not path.exists():
        return None
    try:
        record = read_json(path, error=LabError, remedy="").data
    except LabError as error:
        problem = f"the stored result can't be read ({error.problem})"
    else:
        problem = _differs(record, key, version)
        if not problem:
            return record
    if overwrite and path.is_file():
        path.unlink()
        return None
    raise LabError(
        problem,
        where=path,
        remedy="Use a new folder, pass --overwrite (overwrite=True) to drop such results, or "
        "delete the file.",
    )


def _differs(record: Any, key: str, version: dict[str, Any]) -> str:
    """Why a stored record doesn't count; empty where it does."""
    if not isinstance(record, dict) or not isinstance(record.get("result"), dict):
        return "the file is no stored result of a job"
    if record.get("format") != FORMAT:
        return f"the stored result has format {record.get('format')}, this version reads {FORMAT}"
    if record.get("key") != key:
        return f"the file holds the result of the job {record.get('key')!r}, not of {key!r}"
    found = record.get("version")
    if not isinstance(found, dict):
        return "the stored result names no version"
    for name in sorted(found.keys() | version.keys()):
        if name not in found or name not in version or found[name] != version[name]:
            there, here = (json.dumps(v[name]) if name in v else "none" for v in (found, version))
            return f"the stored result is of another version: {name} is {there} there, {here} here"
    return ""


def _write(
    path: Path, key: str, version: dict[str, Any], seconds: float, result: dict[str, Any]
) -> None:
    record = {"format": FORMAT, "key": key, "version": version, "seconds": seconds}
    write_json(path, record | {"result": result})


def _report(failed: dict[str, Attempt], kept: int, folder: Path) -> LabError:
    """One error for all jobs that failed; the first traceback is a note on it."""
    names = [f"{key!r} ({made.problem})" for key, made in list(failed.items())[:NAMED]]
    more = f", and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
    died = any(made.died for made in failed.values())
    memory = (
        " Where a worker died each time, memory may be short: try smaller jobs." if died else ""
    )
    error = LabError(
        f"{len(failed)} of {len(failed) + kept} jobs failed: {', '.join(names)}{more}",
        where=folder,
        remedy=f"The {kept} finished results are kept there; mend the cause and run the same "
        f"command again for the rest (workers=1 runs in this process, for a debugger).{memory}",
    )
    trace = next((made.trace for made in failed.values() if made.trace), "")
    if trace:
        error.add_note(f"The first of them, where it happened:\n{trace}")
    return error
