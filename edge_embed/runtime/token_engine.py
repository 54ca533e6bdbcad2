"""Compute token states: the transformer's output for each token, before pooling.

It is a second compiled model beside :class:`edge_embed.runtime.engine.Engine`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from edge_embed.errors import EdgeEmbedError
from edge_embed.model.config import ModelConfig
from edge_embed.runtime.batch import Batch
from edge_embed.runtime.config import RuntimeConfig
from edge_embed.runtime.engine import compile_graph
from edge_embed.runtime.forks import PerProcess
from edge_embed.runtime.graph import build_token_graph, read_ir
from edge_embed.runtime.program_end import computing, fork_pending, yield_to_fork

__all__ = ["TokenEngine"]


class TokenEngine:
    """A compiled model that outputs token states. It must not be shared between threads."""

    requests = 1
    """Batches computed in parallel."""

    def __init__(self, config: ModelConfig, runtime: RuntimeConfig, *, file: Path) -> None:
        """Read and compile the model.

        Raises:
            ModelFormatError: the files are missing, damaged or do not fit together.
        """

        def make() -> ov.InferRequest:
            core = ov.Core()
            graph = build_token_graph(read_ir(core, file), config, layers=runtime.layers)
            kind = f"tokens, layers {runtime.layers}"
            with computing():
                model = compile_graph(core, graph, runtime, file=file, kind=kind)
                return model.create_infer_request()

        self._made = PerProcess(make)

    def run(self, batches: Iterable[Batch], out: npt.NDArray[Any]) -> None:
        """Compute ``batches``, writing each text's states to its row of ``out``.

        Args:
            batches: Batches of one text a row (:mod:`edge_embed.runtime.padded_rows`).
            out: Objects (texts,); each is set to an array, float32 (tokens, hidden).

        Raises:
            EdgeEmbedError: inference failed.
        """
        with computing():
            self._run(batches, out)

    def _run(self, batches: Iterable[Batch], out: npt.NDArray[Any]) -> None:
        request = self._made.get()
        for batch in batches:
            if fork_pending():
                yield_to_fork()
            mask = batch.inputs["attention_mask"]
            inputs = {"input_ids": batch.inputs["input_ids"], "attention_mask": mask}
            try:
                request.infer(inputs, share_inputs=True)
            except RuntimeError as error:
                raise EdgeEmbedError(f"inference failed: {error}") from error
            states = request.get_output_tensor(0).data
            for text, row in zip(batch.texts, batch.slots, strict=True):
                out[text] = np.array(states[row, : mask[row].sum()], np.float32)
