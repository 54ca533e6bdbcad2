"""The compiled model and its pool of infer requests.

Each infer request computes one batch at a time; several threads may share an engine. Several
batches run asynchronously; a single batch runs in the caller's thread, which saves two thread
switches.
"""

import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import openvino as ov
import openvino.properties as props
import openvino.properties.hint as hints

from edge_embed.errors import EdgeEmbedError, ModelFormatError
from edge_embed.hardware.processors import usable_processors
from edge_embed.model.config import ModelConfig
from edge_embed.model.json_files import malformed
from edge_embed.runtime.batch import Batch
from edge_embed.runtime.compile_cache import cached
from edge_embed.runtime.config import RuntimeConfig
from edge_embed.runtime.forks import PerProcess
from edge_embed.runtime.graph import Graph, GraphBuilder, build_graph, read_ir
from edge_embed.runtime.packing_proof import packing_fault, recorded_packing
from edge_embed.runtime.program_end import (
    computing,
    fork_pending,
    stop_at_shutdown,
    yield_to_fork,
)
from edge_embed.runtime.streams import choose_streams

__all__ = ["Engine", "compile_graph"]

Vectors = npt.NDArray[np.float32]

_DISPROVED = "its texts would see each other in a row, as its conversion found"
_PRECISIONS = {"f32": ov.Type.f32, "bf16": ov.Type.bf16, "f16": ov.Type.f16}


class Engine:
    """A model compiled for the CPU: batches in, embeddings out. Safe to share between threads."""

    def __init__(
        self,
        config: ModelConfig,
        runtime: RuntimeConfig,
        *,
        file: Path,
        build: GraphBuilder = build_graph,
    ) -> None:
        """Read, complete and compile the model.

        Args:
            config: The model folder's configuration.
            runtime: How to compute.
            file: The .xml of the weights.
            build: Makes the graph that is run from the one in the file.

        Raises:
            ModelFormatError: the files are missing, damaged or do not fit together.
        """
        self._made = PerProcess(lambda: _Compiled.make(config, runtime, file, build))
        made = self._made.get()
        self.why_not_packed = made.graph.why_not_packed
        self.packed = made.graph.packed
        self.tables = made.graph.tables
        """Numbers of rows of the graph's embedding tables."""
        self._dim = config.dim
        self._inputs = [port.get_any_name() for port in made.model.inputs]
        self.requests = made.requests

    @property
    def properties(self) -> dict[str, str]:
        """Streams, threads, precision and hint of the compiled model, as text."""
        names = (
            props.num_streams,
            props.inference_num_threads,
            hints.inference_precision,
            hints.performance_mode,
            hints.enable_cpu_pinning,
        )
        return {name(): _text(self._made.get().model.get_property(name)) for name in names}

    def run(self, batches: Iterable[Batch], out: Vectors) -> None:
        """Embed ``batches``, writing each text's vector to its row of ``out``.

        The next batch is taken from ``batches`` while earlier ones are computed.

        Args:
            batches: Batches in the engine's layout (packed or padded).
            out: Float32 (texts, dim), written in place.

        Raises:
            EdgeEmbedError: inference failed.
        """
        with computing():
            self._run(iter(batches), out)

    def _run(self, batches: Iterator[Batch], out: Vectors) -> None:
        first = list(islice(batches, 2))
        if len(first) == 1:
            self._run_alone(first[0], out)
            return
        idle = self._made.get().idle
        running: deque[_Running] = deque()
        try:
            for batch in chain(first, batches):
                if fork_pending():
                    while running:
                        self._collect(idle, running.popleft(), out)
                    yield_to_fork()
                inputs = self._inputs_of(batch)
                request = self._acquire(idle, running, out)
                running.append(_Running(request, batch))
                request.start_async(inputs, share_inputs=True)
            while running:
                self._collect(idle, running.popleft(), out)
        finally:
            # After an error or an interrupt: wait for the running requests and release them.
            for left in running:
                with suppress(RuntimeError):
                    left.request.wait()
                idle.put(left.request)

    def _run_alone(self, batch: Batch, out: Vectors) -> None:
        inputs = self._inputs_of(batch)
        idle = self._made.get().idle
        request = idle.get()
        with _given_back(request, idle):
            request.infer(inputs, share_inputs=True)
            self._scatter(request, batch, out)

    def _inputs_of(self, batch: Batch) -> dict[str, npt.NDArray[np.int64]]:
        stop_at_shutdown()
        inputs = {name: batch.inputs[name] for name in self._inputs}
        # Checked here, since OpenVINO may give wrong vectors for a shape on which it failed before.
        shapes = {array.shape for array in inputs.values()}
        if len(shapes) != 1:
            raise EdgeEmbedError(f"a batch's inputs have different shapes: {sorted(shapes)}")
        return inputs

    def _scatter(self, request: ov.InferRequest, batch: Batch, out: Vectors) -> None:
        vectors = request.get_output_tensor(0).data.reshape(-1, self._dim)
        out[batch.texts] = vectors[batch.slots]

    def _acquire(self, idle: "_Idle", running: "deque[_Running]", out: Vectors) -> ov.InferRequest:
        """Return an idle request; while there is none, collect this call's oldest batch.

        A caller blocks only while it holds no request, so that callers cannot deadlock.
        """
        while True:
            try:
                return idle.get(block=not running)
            except Empty:
                self._collect(idle, running.popleft(), out)

    def _collect(self, idle: "_Idle", done: "_Running", out: Vectors) -> None:
        with _given_back(done.request, idle):
            done.request.wait()
            self._scatter(done.request, done.batch, out)


_Idle = SimpleQueue[ov.InferRequest]


@contextmanager
def _given_back(request: ov.InferRequest, idle: _Idle) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise EdgeEmbedError(f"inference failed: {error}") from error
    finally:
        idle.put(request)


class _Compiled(NamedTuple):
    """A compiled model with its infer requests; every process has its own."""

    graph: Graph
    model: ov.CompiledModel
    idle: _Idle
    requests: int

    @classmethod
    def make(
        cls, config: ModelConfig, runtime: RuntimeConfig, file: Path, build: GraphBuilder
    ) -> "_Compiled":
        idle: _Idle = SimpleQueue()
        with computing():
            model, graph = _compiled(config, runtime, file, build)
            requests = int(model.get_property(props.optimal_number_of_infer_requests))
            for _ in range(requests):
                idle.put(model.create_infer_request())
        return cls(graph, model, idle, requests)


class _Running(NamedTuple):
    """A request and the batch that it computes, whose arrays must stay alive meanwhile."""

    request: ov.InferRequest
    batch: Batch


def _compiled(
    config: ModelConfig, runtime: RuntimeConfig, file: Path, build: GraphBuilder
) -> tuple[ov.CompiledModel, Graph]:
    """Compile the packed graph if its vectors are right, else the padded one, with the reason."""
    core = ov.Core()
    proved = recorded_packing(config.folder, file) if runtime.packed else None
    if runtime.packed and proved is not False:
        with _readable(file):
            ir = read_ir(core, file)
            quantized = any(node.get_type_name() == "FakeQuantize" for node in ir.get_ops())
            graph = build(ir, config, layers=runtime.layers)
        compiled = compile_graph(core, graph.model, runtime, file=file, kind=_kind(build, runtime))
        if not graph.packed or proved:
            return compiled, graph
        exact = runtime.inference_precision == "f32" and not quantized
        why_not = packing_fault(compiled, config, exact=exact)
        if not why_not:
            return compiled, graph
    else:
        why_not = _DISPROVED if runtime.packed else ""
    with _readable(file):
        graph = build(read_ir(core, file), config, packed=False, layers=runtime.layers)
    if why_not:
        graph = replace(graph, why_not_packed=why_not)
    kind = f"{_kind(build, runtime)}, padded"
    return compile_graph(core, graph.model, runtime, file=file, kind=kind), graph


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """Turn errors that a damaged graph causes within the block into a ModelFormatError.

    Raises:
        ModelFormatError: the block raised such an error.
    """
    try:
        with malformed(file):
            yield
    except RuntimeError as error:
        told = str(error).strip().splitlines()[-1:] or [""]
        raise ModelFormatError(f"{file} is damaged ({told[0]:.200}); copy it again") from error


def _kind(build: GraphBuilder, runtime: RuntimeConfig) -> str:
    return f"{getattr(build, '__name__', build)}, layers {runtime.layers}"


def compile_graph(
    core: ov.Core, graph: ov.Model, runtime: RuntimeConfig, *, file: Path, kind: str
) -> ov.CompiledModel:
    """Compile a graph for the CPU, or load it from the cache.

    Args:
        core: OpenVINO.
        graph: The graph.
        runtime: The options, and the cache folder.
        file: The file that the graph was made from.
        kind: Tells the graphs that are made from one file apart, for the cache.

    Raises:
        ModelFormatError: OpenVINO cannot compile the graph for this processor.
    """
    properties = _properties(runtime)

    def compile_in(folder: Path | None) -> ov.CompiledModel:
        cache = {} if folder is None else {props.cache_dir(): str(folder)}
        return core.compile_model(graph, "CPU", {**properties, **cache})

    try:
        if runtime.cache_dir is None:
            return compile_in(None)
        return cached(runtime.cache_dir, _cache_key(properties, file, kind), compile_in)
    except RuntimeError as error:
        raise ModelFormatError(f"{file} cannot be compiled for this processor: {error}") from error


def _properties(runtime: RuntimeConfig) -> dict[str, object]:
    """Translate to OpenVINO properties."""
    mode, streams = hints.PerformanceMode, choose_streams(runtime)
    properties: dict[str, object] = {
        hints.performance_mode(): mode.LATENCY if streams.hint == "latency" else mode.THROUGHPUT,
        hints.inference_precision(): _PRECISIONS[runtime.inference_precision],
    }
    processors = usable_processors()
    if runtime.threads is not None or processors.limited:
        properties[props.inference_num_threads()] = runtime.threads or processors.count
    if processors.limited:
        # Processes that pin their threads to the same processors would wait for each other.
        properties[hints.enable_cpu_pinning()] = False
    if streams.count is not None:
        properties[props.num_streams()] = streams.count
    return properties


def _cache_key(properties: dict[str, object], file: Path, kind: str) -> str:
    """Return a name that is different for every compiled model."""
    facts = file.stat()
    parts = (file.resolve(), facts.st_size, facts.st_mtime_ns, kind, properties, ov.__version__)
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _text(value: object) -> str:
    return (
        str(getattr(value, "name", value)) if not isinstance(value, ov.Type) else value.to_string()
    )
