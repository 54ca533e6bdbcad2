"""The program ``edge-embed``: one module a command, loaded when it is called.

Errors that the package raises on purpose become one line on stderr and exit status 1; wrong usage
is click's, exit status 2. ``--debug`` anywhere shows the traceback instead.
"""

import importlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

import click

from edge_embed.cli.streams import flush_output, settle_streams, stream_error
from edge_embed.cli.terminal import printable
from edge_embed.errors import EdgeEmbedError

__all__ = ["main", "run"]

_MAX_MESSAGE = 2000

# Command name -> module and attribute; help is shown in this order.
_COMMANDS = {
    "embed": ("edge_embed.cli.embed", "embed_command"),
    "similarity": ("edge_embed.cli.similarity", "similarity_command"),
    "info": ("edge_embed.cli.info", "info_command"),
    "convert": ("edge_embed.cli.convert", "convert_command"),
    "verify": ("edge_embed.cli.verify", "verify_command"),
    "project": ("edge_embed.cli.project", "project_command"),
    "dedup": ("edge_embed.cli.dedup", "dedup_command"),
    "pairs": ("edge_embed.cli.pairs", "pairs_command"),
    "cluster": ("edge_embed.cli.cluster", "cluster_command"),
    "index": ("edge_embed.cli.index", "index_command"),
    "search": ("edge_embed.cli.search", "search_command"),
    "mcp": ("edge_embed.cli.mcp", "mcp_command"),
    "serve": ("edge_embed.cli.serve", "serve_command"),
    "eval": ("edge_embed.cli.evaluate", "eval_command"),
    "bench": ("edge_embed.cli.bench", "bench_command"),
    "ranges": ("edge_embed.cli.ranges", "ranges_command"),
    "distill": ("edge_embed.cli.distill", "distill_command"),
    "train-pairs": ("edge_embed.cli.train_pairs", "train_pairs_command"),
    "demo": ("edge_embed.cli.demo", "demo_command"),
    "doctor": ("edge_embed.cli.doctor", "doctor_command"),
}


class _LazyGroup(click.Group):
    """Imports a command's module when the command is asked for, so that start-up stays short."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _COMMANDS[cmd_name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)  # noqa: S101
        return command


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="edge-embed", prog_name="edge-embed")
def main() -> None:
    """Sentence embeddings at the edge: INT8 OpenVINO models on a CPU, without torch.

    --debug, anywhere, shows the traceback of an error.
    """


def run(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit with its status."""
    settle_streams()
    args = list(sys.argv[1:] if arguments is None else arguments)
    options = args[: args.index("--")] if "--" in args else args
    debug = "--debug" in options
    if debug:
        args.remove("--debug")
    warnings.showwarning = _show_warning
    sys.exit(_status(args, debug=debug))


def _status(args: list[str], *, debug: bool) -> int:
    try:
        with _clean_termination():
            status = main.main(args, prog_name="edge-embed", standalone_mode=False)
            flush_output()
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        if debug:
            raise
        click.echo("edge-embed: interrupted; no output was written", err=True)
        return 1
    except BrokenPipeError:
        # The reader of our output went away, as 'head' does. Keep the interpreter from flushing
        # into the closed pipe at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # of a stream, the temporary folder, or what no writer has handled
        if debug:
            raise
        click.echo(f"edge-embed: {_clean(stream_error(error))}", err=True)
        return 1
    except EdgeEmbedError as error:
        if debug:
            raise
        click.echo(f"edge-embed: {_one_line(error)}", err=True)
        return 1
    return status if isinstance(status, int) else 0  # what a command gave to ctx.exit


@contextmanager
def _clean_termination() -> Iterator[None]:
    """Let SIGTERM, as service and container managers send it, clean up as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _one_line(error: Exception) -> str:
    return _clean(" ".join(str(error).split()))


def _clean(text: str) -> str:
    """Remove control characters of texts from files and libraries, and limit the length."""
    return printable(text, _MAX_MESSAGE)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    click.echo(f"edge-embed: warning: {_clean(str(message))}", err=True)
