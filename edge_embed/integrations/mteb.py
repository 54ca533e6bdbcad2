"""A model as an encoder of ``mteb``, the Massive Text Embedding Benchmark.

Muennighoff et al. 2023. It fulfils the EncoderProtocol of mteb 2.

>>> import mteb
>>> from edge_embed.integrations.mteb import MtebEncoder
>>> mteb.evaluate(MtebEncoder("my-model"), mteb.get_tasks(["STSBenchmark"]))  # doctest: +SKIP
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.embedder import Embedder
from edge_embed.errors import MissingExtraError
from edge_embed.model.receipt import read_receipt
from edge_embed.vectors import unit_length

try:
    from mteb.models import ModelMeta
    from mteb.models.model_meta import ScoringFunction
except ImportError:
    raise MissingExtraError("evaluating with mteb", "mteb", "mteb") from None

__all__ = ["MtebEncoder"]

Vectors = npt.NDArray[np.float32]


class MtebEncoder:
    """Embeds texts for mteb; queries and documents get the model's own prompts."""

    def __init__(
        self,
        model_name: str | Embedder,
        revision: str | None = None,
        *,
        device: str | None = None,
        **options: Any,  # noqa: ANN401
    ) -> None:
        """Load a model.

        Args:
            model_name: A folder, a shipped model's name, a hub id, or a loaded model.
            revision: Branch, tag or commit of a hub id.
            device: Not used: models run on the CPU.
            options: Options of :class:`edge_embed.Embedder`, such as ``variant``.
        """
        if isinstance(model_name, Embedder):
            self.model = model_name
        else:
            self.model = Embedder(model_name, revision=revision, **options)

    def encode(
        self,
        inputs: Iterable[Mapping[str, Sequence[str]]],
        *,
        task_metadata: Any = None,  # noqa: ANN401
        hf_split: str = "",
        hf_subset: str = "",
        prompt_type: Any = None,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> Vectors:
        """Embed batches of texts.

        Args:
            inputs: mteb's data loader: batches with the texts under ``text``.
            task_metadata: The task; prompts of single tasks are not used.
            hf_split: The split; not used.
            hf_subset: The subset; not used.
            prompt_type: ``query`` or ``document`` for these prompts of the model, else its default
                prompt.
            kwargs: mteb's encode options; ``batch_size`` is ignored, as batches are planned by
                tokens.

        Returns:
            Float32 (texts, dim), in the order of the texts.
        """
        texts = [text for batch in inputs for text in batch["text"]]
        role = getattr(prompt_type, "value", prompt_type)
        encoders = {"query": self.model.encode_query, "document": self.model.encode_document}
        encode = encoders.get(role, self.model.encode) if role else self.model.encode
        bar = bool(kwargs.get("show_progress_bar", False))
        return np.asarray(encode(texts, show_progress=bar), np.float32)

    def similarity(self, embeddings1: npt.ArrayLike, embeddings2: npt.ArrayLike) -> Vectors:
        """Return the cosine of each pair, float32 (n, m)."""
        first, second = (_unit(side) for side in (embeddings1, embeddings2))
        return np.asarray(first @ second.T)

    def similarity_pairwise(
        self, embeddings1: npt.ArrayLike, embeddings2: npt.ArrayLike
    ) -> Vectors:
        """Return the cosine of each row with the same row of the other, float32 (n,)."""
        first, second = (_unit(side) for side in (embeddings1, embeddings2))
        return np.asarray(np.sum(first * second, axis=1))

    @property
    def mteb_model_meta(self) -> ModelMeta:
        """Return the model's metadata that mteb writes with its results."""
        config, card = self.model.config, self.model.card
        receipt = read_receipt(config.folder)
        return ModelMeta(
            loader=None,
            name=f"edge_embed/{config.folder.resolve().name}-{self.model.variant}",
            revision=receipt.source.weights_sha256[:12] if receipt else None,
            release_date=None,
            languages=None,
            n_parameters=None,
            memory_usage_mb=None,
            max_tokens=config.max_seq_length,
            embed_dim=config.dim,
            license=None,
            open_weights=True,
            public_training_code=None,
            public_training_data=None,
            framework=["OpenVINO"],
            similarity_fn_name=ScoringFunction(config.similarity),
            use_instructions=bool(config.prompts),
            training_datasets=None,
            adapted_from=receipt.source.name if receipt else None,
            experiment_kwargs={"variant": self.model.variant, "licence": card.licence},
        )


def _unit(vectors: npt.ArrayLike) -> Vectors:
    return unit_length(np.atleast_2d(np.asarray(vectors, np.float32)))
