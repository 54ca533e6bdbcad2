"""A Ray cluster: connect to it, run tasks on it, and turn its errors into this package's."""

import logging
import os
import re
import socket
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from typing import Any

from edge_embed import errors
from edge_embed.errors import ClusterError, EdgeEmbedError, InputError, MissingExtraError
from edge_embed.hardware.processors import usable_processors

try:
    import ray
    import ray.data
    from ray.exceptions import RayError
except ImportError:
    raise MissingExtraError("working on a cluster", "ray", "ray") from None

__all__ = ["cluster_errors", "on_actors", "processors", "ray_cluster", "run_each"]

# How often a lost actor is restarted and its task repeated. Ray Data's default is without end, even
# where the task itself kills the actor.
_RETRIES = {"max_restarts": 8, "max_task_retries": 4}

# Time for a cluster to accept a connection; Ray itself would wait a minute and exit the process.
_SECONDS = 5.0


@contextmanager
def ray_cluster(address: str = "local", *, progress: bool = False) -> Iterator[None]:
    """Connect to a cluster within the block, or use the one that is connected already.

    Ray's usage statistics are off.

    Args:
        address: ``local`` starts Ray on this machine, ``auto`` is the cluster that runs on it
            already, and ``HOST:PORT`` that of another machine.
        progress: Show Ray's own progress bars on stderr.

    Raises:
        ClusterError: there is no cluster at the address.
        InputError: the address has none of these forms.
    """
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        options |= {"num_cpus": usable_processors().count, "include_dashboard": False}
    elif address != "auto":
        _check_address(address)
    try:
        with _silenced():
            ray.init(address=address, **options)
    except (OSError, RuntimeError, ValueError, SystemExit) as error:
        # Ray exits the process if a cluster does not answer.
        told = "it does not answer" if isinstance(error, SystemExit) else error
        raise ClusterError(
            f"cannot use the Ray cluster {address!r}: start one with 'ray start --head', or take "
            f"local, which needs none ({told})"
        ) from error
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = progress
    context.print_on_execution_start = False
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _silenced() -> Iterator[None]:
    """Redirect standard error to the null device, as Ray's C++ code logs to it at the start."""
    sys.stderr.flush()
    kept = os.dup(2)
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _check_address(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise InputError(f"{address!r} is no address of Ray: write HOST:PORT, auto or local")
    try:
        socket.create_connection((host, int(port)), timeout=_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"cannot reach Ray at {address} ({error}): is 'ray start --head' running there, and is "
            "this its port?"
        ) from error


def processors(each: int) -> int:
    """Return how many actors of ``each`` processors the cluster can run at the same time.

    Raises:
        InputError: no node has that many processors.
    """
    nodes = [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    if not 1 <= each <= max(nodes, default=0):
        raise InputError(
            f"an actor cannot have {each} processors: the largest node has {max(nodes, default=0)}"
        )
    return sum(node // each for node in nodes)


def on_actors(method: Callable[..., Any], actor: type, **options: Any) -> Any:  # noqa: ANN401
    """Call ``map`` or ``map_batches`` of a data set on actors, with a limit of restarts."""
    with warnings.catch_warnings():
        # Ray warns of ray_remote_args, but has no other arguments for the restarts.
        warnings.filterwarnings("ignore", message=".*ray_remote_args")
        return method(actor, **options, **_RETRIES)


def run_each(function: Callable[..., Any], arguments: Sequence[Sequence[Any]]) -> list[Any]:
    """Run a task for each element of ``arguments``; return the results in the same order.

    After a failure no further task is started, and the running ones are waited for.

    Raises:
        EdgeEmbedError: the error that a task raised.
        ClusterError: the cluster cannot finish.
    """
    task = ray.remote(function)
    waiting, running = iter(enumerate(arguments)), dict[Any, int]()
    results: list[Any] = [None] * len(arguments)
    most = 2 * processors(1)
    with cluster_errors():
        try:
            while True:
                for number, each in islice(waiting, most - len(running)):
                    running[task.remote(*each)] = number
                if not running:
                    return results
                (done, *_), _ = ray.wait(list(running))
                results[running.pop(done)] = ray.get(done)
        except RayError:
            if running:
                ray.wait(list(running), num_returns=len(running))
            raise


@contextmanager
def cluster_errors() -> Iterator[None]:
    """Turn an error of Ray into the task's own error, or into a ClusterError of one line."""
    try:
        yield
    except RayError as error:
        cause = getattr(error, "cause", None)
        if isinstance(cause, EdgeEmbedError):
            raise cause from error
        raise _package_error(str(cause or error), str(error)) from error


def _package_error(cause: str, whole: str) -> EdgeEmbedError:
    """Return the error of this package that Ray Data's message quotes, or its last line."""
    found = re.findall(r"^edge_embed\.errors\.(\w+): (.+)$", whole, re.MULTILINE)
    for name, message in found[-1:]:
        kind = getattr(errors, name, None)
        if isinstance(kind, type) and issubclass(kind, EdgeEmbedError):
            with suppress(TypeError):  # its constructor has other arguments
                return kind(message)
    told = cause.strip().splitlines() or ["it does not say why"]
    return ClusterError(f"the Ray cluster could not finish: {told[-1]}")
