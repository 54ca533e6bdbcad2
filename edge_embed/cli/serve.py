"""``edge-embed serve``: embeddings over HTTP."""

import logging
import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edge_embed.cli.options import ModelOptions, named_model_options
from edge_embed.cli.terminal import printable
from edge_embed.model.locate import DEFAULT_PAIR_MODEL

if TYPE_CHECKING:
    from edge_embed.server import ApiKeys

# Keys, separated by spaces; not an option, as other users see a command's options.
_KEYS_VARIABLE = "EDGE_EMBED_API_KEYS"


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True)
@click.option(
    "--unix-socket", type=click.Path(path_type=Path), help="Listen at a socket file instead."
)
@click.option("--tls-certificate", type=click.Path(path_type=Path), help="PEM file with the chain.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="PEM file with its private key.")
@click.option(
    "--api-keys",
    type=click.Path(path_type=Path),
    help=f"File with a key a line; else the variable {_KEYS_VARIABLE}, else no key is needed.",
)
@click.option("--index", type=click.Path(path_type=Path), help="Index that /v1/search searches.")
@click.option(
    "--root-path", default="", metavar="/PREFIX", help="The path below which a proxy serves it."
)
@click.option(
    "--pair-model",
    is_flag=False,
    flag_value=DEFAULT_PAIR_MODEL,
    metavar="[MODEL]",
    help="For /rerank, /predict, /v1/rerank and pair scores: the pair model that ships, or this "
    "cross-encoder.",
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="A name that clients call the server by, besides those it listens on; * is any. Not "
    "looked at where there are API keys. May be repeated.",
)
@click.option("--no-page", is_flag=True, help="Do not serve the page at /.")
@click.option(
    "--alias",
    "aliases",
    metavar="NAME=MODEL",
    multiple=True,
    help="Another name of a model, or of its role (MODEL:query); no second copy is loaded.",
)
@click.option(
    "--auto-truncate/--no-auto-truncate",
    default=True,
    show_default=True,
    help="Cut texts over the limit on text-embeddings-inference's paths, unless a request says.",
)
@click.option(
    "--model-memory",
    type=click.FloatRange(min=0, min_open=True, max=1e9),
    metavar="MB",
    help="Most megabytes of weights in memory; models that are not in use make room.",
)
@click.option(
    "--queue-tokens", type=click.IntRange(1), help="Most tokens that wait for a model; then 429."
)
@click.option("--max-inputs", "inputs", type=click.IntRange(1), help="Most texts a request.")
@click.option("--max-requests", "requests", type=click.IntRange(1), help="Most at a time.")
@click.option("--max-body", "body_bytes", type=click.IntRange(1), help="Most bytes a request.")
@click.option(
    "--timeout", "request_seconds", type=float, help="Longest that a request waits, in seconds."
)
@click.option(
    "--client-timeout",
    "client_seconds",
    type=float,
    help="Longest that a client may take to send its headers, and its body, in seconds.",
)
@click.option("--drain", "drain_seconds", type=float, help="Longest that a stop waits, in seconds.")
@click.option("--access-log", is_flag=True, help="Log each request's path, status and time.")
@named_model_options
def serve_command(
    models: tuple[tuple[str | None, ModelOptions], ...],
    host: str,
    port: int,
    unix_socket: Path | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    api_keys: Path | None,
    index: Path | None,
    pair_model: str | None,
    model_memory: float | None,
    aliases: tuple[str, ...],
    root_path: str,
    *,
    auto_truncate: bool,
    allowed_hosts: tuple[str, ...],
    no_page: bool,
    access_log: bool,
    **limits: Any,  # noqa: ANN401
) -> None:
    """Serve embeddings: OpenAI's protocol, Ollama's, text-embeddings-inference's, and a page.

    SIGTERM stops it when requests at work are answered; SIGHUP loads changed models, keys and the
    certificate anew.
    """
    from edge_embed.pairs.scorer import PairScorer
    from edge_embed.server import (
        AllowedHosts,
        Limits,
        Listen,
        ModelSource,
        Service,
        behind_answers,
        create_app,
        serve,
    )

    if (tls_certificate is None) != (tls_key is None):
        raise click.UsageError("TLS needs both --tls-certificate and --tls-key")
    _log_to_stderr(access=access_log)
    sources = [
        ModelSource.find(
            name,
            options.model,
            options.for_serving().load,
            variant=options.variant,
            layers=options.engine.get("layers"),
            revision=options.revision,
        )
        for name, options in models
    ]
    scorer = None
    if pair_model is not None:
        scorer = behind_answers(lambda: PairScorer(pair_model, hint="throughput"))
    with ExitStack() as stack:
        attached = None
        if index is not None:
            from edge_embed.tasks import Index

            attached = stack.enter_context(Index(index, background=True))
        service = Service(
            sources,
            limits=replace(
                Limits(), **{name: value for name, value in limits.items() if value is not None}
            ),
            memory_bytes=None if model_memory is None else int(1e6 * model_memory),
            keys=_keys(api_keys),
            index=attached,
            aliases=dict(map(_alias, aliases)),
            auto_truncate=auto_truncate,
            pair_model=scorer,
        )

        if unix_socket is None:  # a browser cannot use a Unix socket
            service.hosts = AllowedHosts(host, allowed_hosts)

        def reload() -> None:
            service.keys = _keys(api_keys)

        listen = Listen(
            host=host,
            port=port,
            unix_socket=unix_socket,
            certificate=tls_certificate,
            private_key=tls_key,
        )
        serve(
            create_app(service, page=not no_page, root_path=root_path),
            service,
            listen,
            reload=reload,
        )


def _alias(given: str) -> tuple[str, str]:
    name, equals, target = given.partition("=")
    if not (name and equals and target):
        raise click.UsageError(f"--alias {given}: write NAME=MODEL, with the name of a model here")
    return name, target


def _keys(file: Path | None) -> "ApiKeys | None":
    from edge_embed.server import ApiKeys

    if file is not None:
        return ApiKeys.from_file(file)
    variable = os.environ.get(_KEYS_VARIABLE)
    return None if variable is None else ApiKeys(variable.split())


class _PrintableFormatter(logging.Formatter):
    """Removes control characters, as in paths of requests, from log lines."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(printable(line) for line in super().format(record).split("\n"))


def _log_to_stderr(*, access: bool) -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_PrintableFormatter("edge-embed: %(message)s"))
    for name in ("edge_embed.server", "edge_embed.access"):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.propagate = False
        logger.setLevel(logging.INFO)
    logging.getLogger("edge_embed.access").disabled = not access
