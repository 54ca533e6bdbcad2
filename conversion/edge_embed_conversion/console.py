"""Console output of the conversion: its own step lines, and silence for the libraries it uses.

The converter writes one line a step to stderr. What the libraries print meanwhile (load reports,
tracer warnings, progress bars on stdout) adds nothing for a user and is silenced within a block.
Every setting is restored at the end of the block, since the process may be the caller's.
"""

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator

__all__ = ["quiet_nncf", "quiet_tools", "quiet_transformers", "say", "telemetry_off"]


def say(line: str) -> None:
    """Write one step line to stderr; control characters, as in names from files, become spaces."""
    if sys.stderr is None:  # as in a daemon or a windowed program
        return
    sys.stderr.write("".join(c if c.isprintable() else " " for c in line) + "\n")
    sys.stderr.flush()


def telemetry_off() -> None:
    """Stop OpenVINO, NNCF and the hub client from reporting usage, in this process only.

    OpenVINO and NNCF report through the package ``openvino_telemetry`` if it can be imported;
    ``None`` in ``sys.modules`` makes its import fail.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    loaded = sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    if loaded is not None:  # imported already: replace the methods through which it reports
        for method in ("send_event", "send_error", "send_stack_trace", "start_session"):
            setattr(loaded.Telemetry, method, lambda *_args, **_kwargs: None)


@contextlib.contextmanager
def quiet_tools() -> Iterator[None]:
    """Silence warnings, and the logs of optimum, torch and the hub client, within the block."""
    telemetry_off()
    with warnings.catch_warnings(), contextlib.ExitStack() as stack:
        warnings.simplefilter("ignore")
        for name in ("optimum", "torch", "huggingface_hub"):
            stack.enter_context(_errors_only(name))
        yield


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence the logs and progress bars of transformers within the block."""
    from transformers import logging as control

    level, bars = control.get_verbosity(), control.is_progress_bar_enabled()
    control.set_verbosity_error()  # type: ignore[no-untyped-call]
    control.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        control.set_verbosity(level)
        if bars:
            control.enable_progress_bar()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def quiet_nncf() -> Iterator[None]:
    """Silence the log of NNCF and its bars, which both go to stdout, within the block."""
    import nncf  # noqa: F401 - its log handler keeps the stdout of the moment of its import

    with _errors_only("nncf"), contextlib.redirect_stdout(io.StringIO()):
        yield


@contextlib.contextmanager
def _errors_only(name: str) -> Iterator[None]:
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
