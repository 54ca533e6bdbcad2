"""Compare a model's speed with another library's, on the same texts and in turn."""

import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import Any

import numpy as np

from edge_embed.bench.peers import OURS, PEERS, Request
from edge_embed.bench.timing import different_texts, spread
from edge_embed.embedder import Embedder
from edge_embed.errors import InputError, ModelFormatError
from edge_embed.files.write_errors import temporary_files
from edge_embed.hardware.processors import usable_processors
from edge_embed.model.variants import choose_variant

__all__ = ["against", "check_peer"]

_SINGLE = 100
_POOLINGS = ("mean", "cls", "lasttoken")


def check_peer(peer: str) -> tuple[str, str]:
    """Return a peer's name and what it loads, given ``NAME`` or ``NAME=PLACE``.

    Raises:
        InputError: the name is unknown, or a package of the peer is not installed.
    """
    name, _, place = peer.partition("=")
    if name not in PEERS:
        raise InputError(f"unknown peer {name!r}: choose one of {', '.join(PEERS)}")
    for module in PEERS[name].modules:
        if not _installed(module):
            raise InputError(
                f"cannot compare with {name}: its module {module} is not installed in this "
                f"environment; pip install {PEERS[name].install}"
            )
    if name == "fastembed" and not place:
        raise InputError(
            "fastembed runs ONNX models of its own list: name one, such as "
            "--against fastembed=sentence-transformers/all-MiniLM-L6-v2"
        )
    return name, place


def against(
    model: Embedder,
    options: Mapping[str, Any],
    texts: Sequence[str],
    peers: Sequence[str],
    *,
    rounds: int = 5,
) -> dict[str, Any]:
    """Time a model and peers, each in its process, in turn, so that other work slows all alike.

    Args:
        model: The model.
        options: The arguments of :class:`edge_embed.Embedder` that it was loaded with.
        texts: Real texts; duplicates are removed.
        peers: ``NAME`` runs the model's own graph, ``NAME=PLACE`` what the peer has there.
        rounds: How often the texts are timed, after one that is not.

    Returns:
        For the model and each peer texts a second in one call, and milliseconds of a text in a call
        of its own; for a peer the ratios of each round, and the least cosine of its vectors with
        the model's.

    Raises:
        InputError: a peer is not known, not installed, cannot load the model, or there are fewer
            than fifty distinct texts.
    """
    chosen = [check_peer(peer) for peer in peers]
    texts, _ = different_texts(model, texts)
    with ExitStack() as stack:
        processes = {
            name: stack.enter_context(_process(_request(model, options, peer, place)))
            for name, peer, place in [
                (OURS, OURS, ""),
                *((given, *pair) for given, pair in zip(peers, chosen, strict=True)),
            ]
        }
        bulk: dict[str, list[float]] = {name: [] for name in processes}
        single: dict[str, list[float]] = {name: [] for name in processes}
        vectors = {}
        for number in range(rounds + 1):
            for name, process in processes.items():
                whole = _ask(process, name, [texts])
                one_by_one = _ask(process, name, [[text] for text in texts[:_SINGLE]])
                vectors[name] = np.array(whole["vectors"])
                if number:
                    bulk[name].append(len(texts) / whole["seconds"][0])
                    single[name].append(statistics.median(one_by_one["seconds"]) * 1000)
    found: dict[str, Any] = {}
    for name in processes:
        found[name] = {
            "texts_per_second": spread(bulk[name]),
            "single_ms": spread(single[name]),
        }
        if name != OURS:
            pairs = zip(bulk[OURS], bulk[name], strict=True)
            found[name]["bulk_ratio"] = spread([ours / theirs for ours, theirs in pairs])
            pairs = zip(single[OURS], single[name], strict=True)
            found[name]["single_ratio"] = spread([ours / theirs for ours, theirs in pairs])
            found[name]["least_cosine"] = _least_cosine(vectors[OURS], vectors[name])
    return found


def _request(model: Embedder, options: Mapping[str, Any], peer: str, place: str) -> Request:
    config, graph, pooling = model.config, "", ",".join(model.config.pooling)
    if peer != OURS and not place:
        if model.variant not in ("int8", "fp32", "fp16", "w8"):
            raise InputError(f"{peer} cannot run the variant {model.variant}: choose another")
        if model.layers is not None:
            raise InputError(f"{peer} cannot leave out layers: compare without --layers")
        try:
            _, file = choose_variant(config.folder, model.variant, table=False)
        except ModelFormatError as error:
            raise InputError(f"{peer} cannot run {config.folder}: {error}") from None
        graph = str(file.relative_to(config.folder))
    if peer == "openvino-genai" and pooling not in _POOLINGS:
        raise InputError(f"{peer} cannot pool by {pooling}: it has {', '.join(_POOLINGS)}")
    threads = model.runtime.threads or usable_processors().count
    return Request(
        peer,
        dict(options),
        str(config.folder.resolve()),
        graph,
        pooling,
        config.max_seq_length,
        place,
        "",
        threads,
    )


@contextmanager
def _process(request: Request) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-W", "ignore", "-m", "edge_embed.bench.peers"]
    with (
        temporary_files(),
        tempfile.TemporaryDirectory() as work,
        tempfile.TemporaryFile() as log,
        subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process,
    ):
        try:
            _send(process, asdict(request) | {"work": work})
            assert process.stdout is not None  # noqa: S101
            if not process.stdout.readline():
                log.seek(0)
                said = log.read().decode("utf-8", "replace").strip().splitlines()
                raise InputError(
                    f"{request.peer} cannot load {request.place or request.folder}: "
                    f"{said[-1] if said else 'its process ended'}"
                )
            yield process
        finally:
            process.kill()


def _ask(process: "subprocess.Popen[str]", name: str, calls: list[list[str]]) -> dict[str, Any]:
    _send(process, calls)
    assert process.stdout is not None  # noqa: S101
    line = process.stdout.readline()
    if not line:
        raise InputError(f"{name} ended while it was measured: measure fewer texts, or without it")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _send(process: "subprocess.Popen[str]", what: object) -> None:
    assert process.stdin is not None  # noqa: S101
    try:
        process.stdin.write(json.dumps(what) + "\n")
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it has ended, which its answer shows


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package of a submodule
        return False


def _least_cosine(ours: Any, theirs: Any) -> float | None:  # noqa: ANN401
    """Return the least cosine of vectors of the same texts; None where dimensions differ."""
    if ours.shape != theirs.shape:
        return None
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return round(float(((ours * theirs).sum(axis=1) / lengths).min()), 5)
