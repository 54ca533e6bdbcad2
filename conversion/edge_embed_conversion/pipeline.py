"""Run a source with sentence-transformers itself: the reference that a conversion is compared with.

sentence-transformers reads the source's own files: tokenizer, prompts, pooling and every module
after that. No code of this project takes part in its vectors.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.errors import EdgeEmbedError
from edge_embed_conversion.console import quiet_transformers
from edge_embed_conversion.sources import Source
from edge_embed_conversion.weights import WeightsKind

__all__ = ["Pipeline", "why_no_pipeline"]

Vectors = npt.NDArray[np.float32]


def why_no_pipeline(source: Source) -> str:
    """Return why sentence-transformers cannot run ``source`` as a reference; "" if it can."""
    if find_spec("sentence_transformers") is None:
        return "sentence-transformers is not installed: pip install 'edge-embed[convert]'"
    if not (source.folder / "modules.json").is_file():
        return "the source has no modules.json, so sentence-transformers would guess its pooling"
    if source.weights.kind is WeightsKind.ONNX:
        return "the source is an ONNX file alone, which sentence-transformers needs other tools for"
    return ""


@dataclass(frozen=True)
class Pipeline:
    """A model that sentence-transformers has loaded, in float32."""

    model: Any
    name: str

    @classmethod
    def open(cls, source: Source) -> "Pipeline":
        """Load ``source``: its checkpoint in torch, or else its OpenVINO graph.

        Raises:
            EdgeEmbedError: sentence-transformers cannot load it.
        """
        from sentence_transformers import SentenceTransformer

        options: dict[str, Any] = {"backend": "torch", "model_kwargs": {"dtype": "float32"}}
        if source.weights.kind is WeightsKind.OPENVINO and source.checkpoint is None:
            exact = {"INFERENCE_PRECISION_HINT": "f32"}
            options["backend"] = "openvino"
            options["model_kwargs"] = {"file_name": source.weights.file, "ov_config": exact}
        with _said_in_one_line(source.folder):
            model = SentenceTransformer(
                str(source.folder),
                device="cpu",
                local_files_only=not source.trust_remote_code,
                trust_remote_code=source.trust_remote_code,
                **options,
            )
        return cls(model, source.folder.name)

    @property
    def library(self) -> str:
        """The library and its version."""
        return f"sentence-transformers {metadata.version('sentence-transformers')}"

    def vectors(self, texts: Sequence[str], *, prompt: str = "") -> Vectors:
        """Embed texts, float32 (texts, dim), with ``prompt`` before each.

        Each text is a batch of its own: in some models (convolutions over tokens) padding changes
        a vector.

        Raises:
            EdgeEmbedError: sentence-transformers cannot run the model.
        """
        with _said_in_one_line(Path(self.name)):
            vectors = self.model.encode(
                list(texts),
                batch_size=1,
                show_progress_bar=False,
                prompt=prompt,
                convert_to_numpy=True,
            )
        return np.asarray(vectors, np.float32)

    def vector_of_tokens(self, ids: Sequence[int]) -> Vectors:
        """Return the vector of token ids, special tokens included, float32 (dim,).

        Raises:
            EdgeEmbedError: sentence-transformers cannot run the model.
        """
        import torch

        row = torch.tensor([list(ids)])
        with _said_in_one_line(Path(self.name)), torch.inference_mode():
            features = self.model({"input_ids": row, "attention_mask": torch.ones_like(row)})
        vector = features["sentence_embedding"][0].numpy()
        return np.asarray(vector[: self.model.truncate_dim], np.float32)

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, special tokens included, cut at the token limit."""
        with _said_in_one_line(Path(self.name)):
            limit = self.model.max_seq_length
            encoded = self.model.tokenizer(list(texts), truncation=True, max_length=limit)
        return [list(ids) for ids in encoded["input_ids"]]


@contextmanager
def _said_in_one_line(folder: Path) -> Iterator[None]:
    try:
        with quiet_transformers():
            yield
    except Exception as error:
        text = str(error).strip()
        reason = text.splitlines()[0] if text else type(error).__name__
        raise EdgeEmbedError(
            f"sentence-transformers cannot run {folder.name}, so the converted model cannot be "
            f"compared with it: {reason}"
        ) from error
