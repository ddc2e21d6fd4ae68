"""The jobs of a study on a Dask cluster: one named by its address, or one made on this machine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from typing import Any

from privhead_nb.errors import LabError
from privhead_nb.lab.job_workers import DIED, Attempt, Attempts, Round, Work, attempt, one_line

log = logging.getLogger("privhead_nb.lab")
CONNECT_SECONDS = 20
ALLOWED_FAILURES = 1  # deaths that a job on a local cluster is forgiven, before we try it alone


@contextmanager
def on_cluster(work: Work, scheduler: str, count: int) -> Iterator[Round]:
    """A round of jobs on the cluster; results come back here, no shared disk is needed.

    Args:
        scheduler: "tcp://host:port" of a running scheduler, whose workers have this package; or
            "local", for `count` worker processes on this machine.

    Raises:
        LabError: dask.distributed is missing, the scheduler doesn't answer, or goes away.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise LabError(
            "running on a cluster needs dask.distributed, which is not installed",
            where="scheduler",
            remedy='pip install "privhead-nb[cluster]"; or leave the scheduler out, to run in '
            "processes on this machine.",
        ) from error
    with ExitStack() as stack:
        place: Any = scheduler
        if scheduler == "local":
            # by default, a worker that takes 15 s to come up again is given up, and jobs then wait
            # for ever
            patient = {"distributed.deploy.lost-worker-timeout": "1 day"}
            stack.enter_context(dask.config.set(patient))
            place = stack.enter_context(
                LocalCluster(
                    n_workers=count,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                    memory_limit=0,  # no worker is killed for more than its share
                    silence_logs=logging.CRITICAL,  # a death is told in our words
                    scheduler_kwargs={
                        "allowed_failures": ALLOWED_FAILURES,
                        "dashboard": False,
                        "dashboard_address": "127.0.0.1:0",  # its plain pages: any port, only here
                    },
                )
            )
        try:
            client = Client(place, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise LabError(
                f"no Dask scheduler answers there ({error})",
                where=scheduler,
                remedy='Start one (`dask scheduler`) and name its address, as "tcp://host:8786", '
                'or use "local".',
            ) from error
        stack.enter_context(client)
        if not client.scheduler_info()["workers"]:
            log.warning("the scheduler %s has no workers yet; waiting for some", scheduler)
        yield _round(client, work, scheduler)


def _round(client: Any, work: Work, scheduler: str) -> Round:
    from distributed import KilledWorker, as_completed

    def round_(jobs: Mapping[str, Any]) -> Attempts:
        keys = {client.submit(attempt, work, a, pure=False): key for key, a in jobs.items()}
        try:
            for future in as_completed(list(keys), loop=client.loop):
                key = keys.pop(future)
                try:  # a result that was lost with its worker before it came here is made again
                    made = future.result()
                except KilledWorker:
                    made = Attempt(problem=DIED, died=True)
                except (CancelledError, asyncio.CancelledError) as error:
                    raise LabError(
                        "the Dask scheduler went away",
                        where=scheduler,
                        remedy="Finished jobs are kept; run the same command again for the rest.",
                    ) from error
                except Exception as error:  # outside of the job: its argument, a missing module
                    made = Attempt(problem=one_line(error.__cause__ or error))
                yield key, made
                future.release()
        finally:
            client.cancel(list(keys))

    return round_
