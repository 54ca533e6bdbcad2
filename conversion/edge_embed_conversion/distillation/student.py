"""The student: an ALBERT encoder whose forward pass is written for short, equally long texts.

The parameters are those of a ``transformers.AlbertModel``, so the trained student can be saved and
loaded by that library. The forward pass is this module's own, for speed on a CPU: batches hold
texts with the same number of tokens (no padding, no mask), attention is two batched matrix products
(the backward pass of PyTorch's fused CPU attention is ten times slower at 13 tokens), and the
shared layer's weights are cast to the training precision once a step instead of once a pass (an
application of the shared layer). ALBERT: Lan et al. 2020, https://arxiv.org/abs/1909.11942.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AlbertConfig, AlbertModel

from edge_embed.errors import InputError

__all__ = ["Student", "StudentShape"]


NORM_EPSILON = 1e-12


@dataclass(frozen=True)
class StudentShape:
    """Sizes of the student; the defaults are the project's target architecture."""

    hidden_size: int = 768
    embedding_size: int = 128
    layers: int = 6
    heads: int = 12
    ffn_size: int = 3072
    vocab_size: int = 30000
    max_length: int = 128
    positions: int = 512

    def check(self) -> None:
        """Check that the sizes fit together.

        Raises:
            InputError: a size is too small, the heads do not divide the hidden size, or
                ``max_length`` exceeds ``positions``.
        """
        least = {
            "hidden_size": 1,
            "embedding_size": 1,
            "layers": 1,
            "heads": 1,
            "ffn_size": 1,
            "vocab_size": 1,
            "max_length": 8,
        }
        for name, minimum in least.items():
            if getattr(self, name) < minimum:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least {minimum}")
        if self.hidden_size % self.heads:
            raise InputError(
                f"{self.heads} heads do not divide a hidden size of {self.hidden_size}; "
                "give another --heads"
            )
        if self.max_length > self.positions:
            raise InputError(f"max_length is {self.max_length}; at most {self.positions}")

    def with_vocabulary(self, size: int) -> "StudentShape":
        """Return the shape with ``size`` as its vocabulary size."""
        return replace(self, vocab_size=size)

    def config(self) -> AlbertConfig:
        """Return the configuration that is written beside the weights."""
        sizes = {
            "vocab_size": self.vocab_size,
            "embedding_size": self.embedding_size,
            "hidden_size": self.hidden_size,
            "num_hidden_layers": self.layers,
            "num_hidden_groups": 1,
            "inner_group_num": 1,
            "num_attention_heads": self.heads,
            "intermediate_size": self.ffn_size,
            "hidden_act": "gelu_new",
            "hidden_dropout_prob": 0.0,
            "attention_probs_dropout_prob": 0.0,
            "max_position_embeddings": self.positions,
            "type_vocab_size": 2,
            "layer_norm_eps": NORM_EPSILON,
            "pad_token_id": 0,
            "bos_token_id": 2,
            "eos_token_id": 3,
        }
        config: AlbertConfig = AlbertConfig.from_dict(sizes)
        return config


class Student(nn.Module):
    """An ALBERT encoder and the projection from its hidden size to the teacher's."""

    def __init__(self, shape: StudentShape, teacher_dim: int) -> None:
        super().__init__()
        self.shape = shape
        self.albert = AlbertModel(shape.config(), add_pooling_layer=False)
        self.projection = nn.Linear(shape.hidden_size, teacher_dim)

    @property
    def layer(self) -> nn.Module:
        """The shared layer."""
        return self.albert.get_submodule("encoder.albert_layer_groups.0.albert_layers.0")

    def embedded(self, ids: Tensor) -> Tensor:
        """Return the input of the first pass, float32 (batch, length, hidden).

        ``ids`` is int64 (batch, length).
        """
        table = self.albert.embeddings
        summed = (
            table.word_embeddings(ids)
            + table.position_embeddings.weight[: ids.shape[1]]
            + table.token_type_embeddings.weight[0]
        )
        normed: Tensor = self.albert.encoder.embedding_hidden_mapping_in(table.LayerNorm(summed))
        return normed

    def forward(self, ids: Tensor, *, passes: int, dtype: torch.dtype) -> Tensor:
        """Return the token states, ``dtype`` (batch, length, hidden), after ``passes`` passes.

        ``ids`` is int64 (batch, length), without padding.
        """
        batch, length = ids.shape
        heads = self.shape.heads
        hidden = self.shape.hidden_size
        size = hidden // heads
        states = self.embedded(ids).to(dtype)
        weights = _LayerWeights.of(self.layer, dtype)
        scale = size**-0.5
        for _ in range(passes):
            mixed = functional.linear(states, weights.qkv, weights.qkv_bias)
            parts = mixed.view(batch, length, 3, heads, size).permute(2, 0, 3, 1, 4)
            query, key, value = parts.reshape(3, batch * heads, length, size).unbind(0)
            scores = torch.softmax(torch.bmm(query, key.transpose(1, 2)) * scale, dim=-1)
            context = torch.bmm(scores, value).view(batch, heads, length, size)
            context = context.transpose(1, 2).reshape(batch, length, hidden)
            attended = functional.linear(context, weights.out, weights.out_bias)
            states = functional.layer_norm(
                states + attended, (hidden,), weights.norm1, weights.norm1_bias, NORM_EPSILON
            )
            inner = functional.linear(states, weights.up, weights.up_bias)
            inner = functional.gelu(inner, approximate="tanh")
            fed = functional.linear(inner, weights.down, weights.down_bias)
            states = functional.layer_norm(
                states + fed, (hidden,), weights.norm2, weights.norm2_bias, NORM_EPSILON
            )
        return states


@dataclass(frozen=True)
class _LayerWeights:
    """The shared layer's weights in the training precision, cast once for all passes."""

    qkv: Tensor
    qkv_bias: Tensor
    out: Tensor
    out_bias: Tensor
    norm1: Tensor
    norm1_bias: Tensor
    up: Tensor
    up_bias: Tensor
    down: Tensor
    down_bias: Tensor
    norm2: Tensor
    norm2_bias: Tensor

    @classmethod
    def of(cls, layer: nn.Module, dtype: torch.dtype) -> "_LayerWeights":
        get = layer.get_parameter
        names = ("query", "key", "value")
        joined = [
            torch.cat([get(f"attention.{name}.{kind}") for name in names])
            for kind in ("weight", "bias")
        ]
        modules = (
            "attention.dense",
            "attention.LayerNorm",
            "ffn",
            "ffn_output",
            "full_layer_layer_norm",
        )
        rest = [get(f"{module}.{kind}") for module in modules for kind in ("weight", "bias")]
        return cls(*(tensor.to(dtype) for tensor in (*joined, *rest)))
