"""A student that starts from a BERT's own layers, with a factorised word table and exits.

The chosen layers start with the parameters of an existing model; its word table (token embeddings)
is factorised (:mod:`edge_embed_conversion.factorise`). The forward pass is written for training on
a CPU: weights in the training precision, attention as two batched products, a mask only if a batch
is padded. It is saved as an ordinary ``BertModel`` with the product of the two factors as its word
table; ``convert --embedding-rank`` factorises that again exactly.
"""

import json
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from edge_embed.errors import InputError, ModelFormatError
from edge_embed.model.exits import EXITS_FILE
from edge_embed.model.json_files import read_json
from edge_embed_conversion.factorise import factorise

__all__ = ["EncoderStudent"]

_HIDDEN_BY_MASK = -1e4


class EncoderStudent(nn.Module):
    """A BERT encoder with a word table of low rank, mean pooling and several exits."""

    def __init__(
        self, *, layers: int, rank: int, hidden: int, ffn: int, heads: int, words: int, limit: int
    ) -> None:
        super().__init__()
        self.heads, self.hidden, self.limit = heads, hidden, limit
        self.words, self.up = nn.Embedding(words, rank), nn.Linear(rank, hidden)
        self.positions = nn.Embedding(limit, hidden)
        self.norm = nn.LayerNorm(hidden, eps=1e-12)
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    "qkv": nn.Linear(hidden, 3 * hidden),
                    "out": nn.Linear(hidden, hidden),
                    "norm1": nn.LayerNorm(hidden, eps=1e-12),
                    "fc1": nn.Linear(hidden, ffn),
                    "fc2": nn.Linear(ffn, hidden),
                    "norm2": nn.LayerNorm(hidden, eps=1e-12),
                }
            )
            for _ in range(layers)
        )

    @property
    def inner_size(self) -> int:
        """Width of the feed-forward layer."""
        size: int = self.get_parameter("layers.0.fc1.weight").shape[0]
        return size

    @classmethod
    def from_model(
        cls,
        model: PreTrainedModel,
        counts: npt.NDArray[np.float64],
        *,
        rank: int,
        layers: Sequence[int],
        limit: int,
    ) -> "EncoderStudent":
        """Start from the layers ``layers`` of ``model``.

        Args:
            model: a ``BertModel``.
            counts: (tokens,), how often each token of the vocabulary occurs; the weights of the
                factorisation.
            rank: width of the factorised word table.
            layers: indices (from 0) of the model's layers that the student has, in order.
            limit: longest text in tokens; later positions are left out.

        Raises:
            ModelFormatError: the model is no BERT.
            InputError: a layer is not there, or the rank or the limit does not fit.
        """
        config = model.config
        if config.model_type != "bert" or config.hidden_act != "gelu":
            raise ModelFormatError(
                f"a student starts from a BERT with gelu, not from {config.model_type}; "
                "leave --init out to train an ALBERT"
            )
        missing = [layer for layer in layers if not 0 <= layer < config.num_hidden_layers]
        if missing or not layers:
            raise InputError(f"the model to start from has {config.num_hidden_layers} layers")
        if limit > config.max_position_embeddings:
            raise InputError(f"the model to start from reads {config.max_position_embeddings}")
        state = {name: value.detach().float() for name, value in model.state_dict().items()}
        table = state["embeddings.word_embeddings.weight"]
        padded = np.pad(counts, (0, len(table) - len(counts)))
        factors = factorise(table.numpy(), padded, rank)
        student = cls(
            layers=len(layers),
            rank=rank,
            hidden=config.hidden_size,
            ffn=config.intermediate_size,
            heads=config.num_attention_heads,
            words=len(table),
            limit=limit,
        )
        own = student.state_dict()
        own["words.weight"] = torch.from_numpy(factors.table)
        own["up.weight"] = torch.from_numpy(factors.up.T.copy())
        own["up.bias"] = torch.from_numpy(factors.mean)
        types = state["embeddings.token_type_embeddings.weight"][0]
        own["positions.weight"] = state["embeddings.position_embeddings.weight"][:limit] + types
        for mine, theirs in _names(layers).items():
            own[mine] = torch.cat([state[name] for name in theirs])
        student.load_state_dict(own)
        return student

    def forward(
        self, ids: Tensor, mask: Tensor | None, exits: Collection[int], dtype: torch.dtype
    ) -> dict[int, Tensor]:
        """Return the sentence vectors for each exit: number of layers to (texts, hidden).

        Args:
            ids: Token ids, int64 (texts, width).
            mask: True at tokens, False at padding, bool (texts, width); None without padding.
            exits: Numbers of layers after which vectors are wanted.
            dtype: Arithmetic of the layers; the vectors are float32, of unit length.
        """
        vectors: dict[int, Tensor] = {}
        for number, (_, states) in enumerate(self.passes(ids, mask, dtype), 1):
            if number in exits:
                vectors[number] = functional.normalize(_mean(states.float(), mask), dim=-1)
        return vectors

    def passes(
        self, ids: Tensor, mask: Tensor | None, dtype: torch.dtype
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each layer's feed-forward activations and token states.

        They are (texts, width, ffn) and (texts, width, hidden), both of ``dtype``; the arguments
        are those of :meth:`forward`.
        """
        texts, width = ids.shape
        size = self.hidden // self.heads
        states = self.norm(self.up(self.words(ids)) + self.positions.weight[:width]).to(dtype)
        hide = None
        if mask is not None:
            hide = torch.zeros(texts, 1, 1, width, dtype=dtype, device=ids.device)
            hide = hide.masked_fill(~mask[:, None, None, :], _HIDDEN_BY_MASK)
            hide = hide.expand(texts, self.heads, 1, width).reshape(-1, 1, width)
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleDict)  # noqa: S101 - for the type
            mixed = _linear(layer["qkv"], states).view(texts, width, 3, self.heads, size)
            query, key, value = mixed.permute(2, 0, 3, 1, 4).reshape(3, -1, width, size).unbind(0)
            scores = torch.bmm(query, key.transpose(1, 2)) * size**-0.5
            scores = scores if hide is None else scores + hide
            context = torch.bmm(torch.softmax(scores, -1), value)
            context = context.view(texts, self.heads, width, size).transpose(1, 2)
            attended = _linear(layer["out"], context.reshape(texts, width, self.hidden))
            states = _normed(layer["norm1"], states + attended)
            inner = functional.gelu(_linear(layer["fc1"], states))
            states = _normed(layer["norm2"], states + _linear(layer["fc2"], inner))
            yield inner, states

    def save(self, folder: Path, *, source: Path, exits: Sequence[int]) -> None:
        """Write a checkpoint that transformers, sentence-transformers and ``convert`` can load.

        Args:
            folder: the folder to write; it exists.
            source: the model that the student started from, for its tokenizer and layout.
            exits: numbers of layers after which the student was trained to end, for ``exits.json``.
        """
        config = read_json(source / "config.json")
        config |= {
            "num_hidden_layers": len(self.layers),
            "intermediate_size": self.inner_size,
            "max_position_embeddings": self.limit,
            "dtype": "float32",
        }
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        for file in source.iterdir():
            if file.suffix == ".json" and file.name != "config.json":
                shutil.copyfile(file, folder / file.name)
        for part in ("1_Pooling", "2_Normalize"):
            if (source / part).is_dir():
                shutil.copytree(source / part, folder / part, dirs_exist_ok=True)
        limit = {"max_seq_length": self.limit, "do_lower_case": False}
        (folder / "sentence_bert_config.json").write_text(json.dumps(limit) + "\n", "utf-8")
        (folder / EXITS_FILE).write_text(json.dumps({"layers": list(exits)}) + "\n", "utf-8")
        save_file(self._bert_state(), folder / "model.safetensors", metadata={"format": "pt"})

    def _bert_state(self) -> dict[str, Tensor]:
        own = {name: value.detach().float().cpu() for name, value in self.state_dict().items()}
        state = {
            "embeddings.word_embeddings.weight": own["words.weight"] @ own["up.weight"].T
            + own["up.bias"],
            "embeddings.position_embeddings.weight": own["positions.weight"],
            "embeddings.token_type_embeddings.weight": torch.zeros(2, self.hidden),
        }
        for mine, theirs in _names(range(len(self.layers))).items():
            state |= dict(zip(theirs, own[mine].chunk(len(theirs)), strict=True))
        return {name: value.contiguous().clone() for name, value in state.items()}


def _names(layers: Sequence[int]) -> Mapping[str, list[str]]:
    """Map the student's parameter names to those of a BERT, embedding tables excepted.

    ``layers`` are the BERT's layers that the student's layers correspond to.
    """
    pairs = {"norm": ["embeddings.LayerNorm"]}
    for mine, theirs in enumerate(layers):
        before = f"encoder.layer.{theirs}."
        parts = ("query", "key", "value")
        pairs[f"layers.{mine}.qkv"] = [f"{before}attention.self.{part}" for part in parts]
        pairs[f"layers.{mine}.out"] = [f"{before}attention.output.dense"]
        pairs[f"layers.{mine}.norm1"] = [f"{before}attention.output.LayerNorm"]
        pairs[f"layers.{mine}.fc1"] = [f"{before}intermediate.dense"]
        pairs[f"layers.{mine}.fc2"] = [f"{before}output.dense"]
        pairs[f"layers.{mine}.norm2"] = [f"{before}output.LayerNorm"]
    return {
        f"{mine}.{kind}": [f"{name}.{kind}" for name in theirs]
        for mine, theirs in pairs.items()
        for kind in ("weight", "bias")
    }


def _linear(layer: nn.Module, states: Tensor) -> Tensor:
    weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
    return functional.linear(states, weight.to(states.dtype), bias.to(states.dtype))


def _normed(layer: nn.Module, states: Tensor) -> Tensor:
    weight, bias = layer.get_parameter("weight"), layer.get_parameter("bias")
    kind = states.dtype
    return functional.layer_norm(states, states.shape[-1:], weight.to(kind), bias.to(kind), 1e-12)


def _mean(states: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return states.mean(dim=1)
    weights = mask.float().unsqueeze(-1)
    return (states * weights).sum(dim=1) / weights.sum(dim=1)
