"""The cross-encoder in training: any sequence classifier, with a faster forward pass for BERT.

The parameters are those of the transformers model, so the trained network can be saved and loaded
by that library. Batches hold pairs with the same number of tokens, so the forward pass for BERT
needs no mask, and attention is two batched matrix products in the training precision (see
``distillation.student``).
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    AutoModelForSequenceClassification,
    BertForSequenceClassification,
    PreTrainedModel,
)

from edge_embed_conversion.console import quiet_transformers
from edge_embed_conversion.factorise import factorise

__all__ = ["PairNetwork", "RankTable", "load_network"]


class RankTable(nn.Module):
    """A factorised word table: (vocabulary, rank) times (rank, hidden), plus a bias (hidden,)."""

    def __init__(self, table: Tensor, counts: Tensor, rank: int) -> None:
        super().__init__()
        factors = factorise(table.numpy(), counts.numpy().astype(np.float64), rank)
        self.words = nn.Parameter(torch.from_numpy(factors.table))
        self.up = nn.Parameter(torch.from_numpy(factors.up.T.copy()))
        self.centre = nn.Parameter(torch.from_numpy(factors.mean))

    def forward(self, ids: Tensor) -> Tensor:
        """Return the embeddings of ``ids``, int64 of any shape: float32 (..., hidden)."""
        return functional.linear(functional.embedding(ids, self.words), self.up, self.centre)

    def whole(self) -> Tensor:
        """Return the product, the whole table, float32 (vocabulary, hidden)."""
        return functional.linear(self.words, self.up, self.centre)


class PairNetwork(nn.Module):
    """A classifier of pairs with one logit."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model
        self.fast = isinstance(model, BertForSequenceClassification)

    def factorise(self, counts: Tensor, rank: int) -> None:
        """Replace the word table by its factors of rank ``rank``, weighted by token ``counts``."""
        embeddings: Any = self.model.get_input_embeddings()
        self.model.set_input_embeddings(RankTable(embeddings.weight.detach(), counts, rank))

    def forward(self, ids: Tensor, types: Tensor, *, dtype: torch.dtype) -> Tensor:
        """Return the logits, float32 (pairs,).

        ``ids`` and ``types`` (token types) are int64 (pairs, length), without padding; ``dtype`` is
        the arithmetic of the layers.
        """
        if self.fast:
            return self._bert(ids, types, dtype)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if getattr(self.model.config, "type_vocab_size", 1) > 1:
            inputs["token_type_ids"] = types
        with torch.autocast(ids.device.type, dtype, enabled=dtype != torch.float32):
            logits: Tensor = self.model(**inputs).logits
        return logits.float().squeeze(-1)

    def _bert(self, ids: Tensor, types: Tensor, dtype: torch.dtype) -> Tensor:
        bert: Any = self.model.get_submodule("bert")
        config = self.model.config
        count, length = ids.shape
        hidden, heads = config.hidden_size, config.num_attention_heads
        size = hidden // heads
        tables = bert.embeddings
        states = tables.word_embeddings(ids) + tables.position_embeddings.weight[:length]
        states = tables.LayerNorm(states + tables.token_type_embeddings(types)).to(dtype)
        approximate = "none" if config.hidden_act == "gelu" else "tanh"
        for layer in bert.encoder.layer:

            def cast(name: str, layer: nn.Module = layer) -> tuple[Tensor, Tensor]:
                module: Any = layer.get_submodule(name)
                return module.weight.to(dtype), module.bias.to(dtype)

            def normed(states: Tensor, name: str, layer: nn.Module = layer) -> Tensor:
                return functional.layer_norm(
                    states, (hidden,), *cast(name, layer), config.layer_norm_eps
                )

            parts = [cast(f"attention.self.{name}") for name in ("query", "key", "value")]
            mixed = functional.linear(
                states, torch.cat([w for w, _ in parts]), torch.cat([b for _, b in parts])
            )
            mixed = mixed.view(count, length, 3, heads, size).permute(2, 0, 3, 1, 4)
            query, key, value = mixed.reshape(3, count * heads, length, size).unbind(0)
            scores = torch.softmax(torch.bmm(query, key.transpose(1, 2)) * size**-0.5, dim=-1)
            context = torch.bmm(scores, value).view(count, heads, length, size)
            context = context.transpose(1, 2).reshape(count, length, hidden)
            attended = functional.linear(context, *cast("attention.output.dense"))
            states = normed(states + attended, "attention.output.LayerNorm")
            inner = functional.linear(states, *cast("intermediate.dense"))
            inner = functional.gelu(inner, approximate=approximate)
            states = normed(
                states + functional.linear(inner, *cast("output.dense")), "output.LayerNorm"
            )
        pooled = torch.tanh(bert.pooler.dense(states[:, 0].float()))
        logits: Tensor = self.model.get_submodule("classifier")(pooled)
        return logits.squeeze(-1)

    def save(self, folder: Path) -> None:
        """Write the checkpoint with transformers; a factorised word table is multiplied out."""
        table = self.model.get_input_embeddings()
        if isinstance(table, RankTable):
            whole = nn.Embedding(*table.whole().shape)
            whole.weight.data = table.whole().detach()
            self.model.set_input_embeddings(whole)
        try:
            self.model.save_pretrained(folder)
        finally:
            self.model.set_input_embeddings(table)


def load_network(folder: Path) -> PairNetwork:
    """Load an encoder with a new head of one logit, in float32, without dropout."""
    with quiet_transformers():
        model = AutoModelForSequenceClassification.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            dtype=torch.float32,
            num_labels=1,
            ignore_mismatched_sizes=True,
        )
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return PairNetwork(model)
