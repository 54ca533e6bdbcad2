"""Prune layers and feed-forward neurons of a student before training.

Layers are removed one at a time, each time the one without which the similarities of texts change
least. In feed-forward layers those neurons are removed whose output the others can best replace;
the weights of the others are then refitted to the output of all (optimal brain surgeon: Hassibi
and Stork 1993; least squares as in Luo et al. 2017, "ThiNet"). Such a student starts with most of
its source's quality and needs far less training than one that starts with every second layer.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from edge_embed_conversion.distillation.encoder_student import EncoderStudent
from edge_embed_conversion.distillation.padding import padded_batches
from edge_embed_conversion.layer_search import Kept, LayerSearch

__all__ = ["keep_layers", "sample_of", "shrink_inner"]

_TOKENS_FITTED = 20_000
# Neurons are removed a 24th at a time: of two that can replace each other, only one may go.
_ROUNDS = 24
# Ridge regularisation of the least squares, relative to the mean second moment.
_RIDGE = 1e-4

Sample = Sequence[tuple[Tensor, Tensor]]
"""Batches of token ids, int64 (texts, width), and masks, bool of the same shape."""


def sample_of(texts: Sequence[str], tokenizer: Tokenizer) -> list[tuple[Tensor, Tensor]]:
    """Tokenize ``texts`` into padded batches of texts of similar length."""
    ids = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    return [(batch.ids, batch.mask) for batch in padded_batches(ids)]


def keep_layers(student: EncoderStudent, count: int, sample: Sample) -> list[int]:
    """Remove layers of ``student``, in place, until ``count`` are left; return their indices."""
    layers = list(student.layers)

    def vectors_with(kept: Kept) -> npt.NDArray[np.float32]:
        student.layers = nn.ModuleList(layers[number] for number in kept)
        return _vectors(student, sample)

    *_, kept = LayerSearch(len(layers), vectors_with).fewer(count, beam_width=1)
    student.layers = nn.ModuleList(layers[number] for number in kept)
    return list(kept)


def shrink_inner(student: EncoderStudent, size: int, sample: Sample) -> None:
    """Reduce each feed-forward layer of ``student``, in place, to ``size`` refitted neurons."""
    for number, layer in enumerate(student.layers):
        assert isinstance(layer, nn.ModuleDict)  # noqa: S101 - for the type
        active = _inner(student, number, sample)
        first_weight, first_bias = _parameters(layer["fc1"])
        second_weight, second_bias = _parameters(layer["fc2"])
        kept, weights = _refit(active, second_weight.T, size)
        lost = (active @ second_weight.T - active[:, kept] @ weights).mean(0)
        first, second = nn.Linear(student.hidden, size), nn.Linear(size, student.hidden)
        with torch.no_grad():
            first.weight.copy_(first_weight[kept])
            first.bias.copy_(first_bias[kept])
            second.weight.copy_(weights.T)
            second.bias.copy_(second_bias + lost)
        layer["fc1"], layer["fc2"] = first, second


def _parameters(layer: nn.Module) -> tuple[Tensor, Tensor]:
    return layer.get_parameter("weight").detach(), layer.get_parameter("bias").detach()


def _vectors(student: EncoderStudent, sample: Sample) -> npt.NDArray[np.float32]:
    last = len(student.layers)
    with torch.inference_mode():
        found = [student(ids, mask, (last,), torch.float32)[last] for ids, mask in sample]
    vectors: npt.NDArray[np.float32] = torch.cat(found).numpy()
    return vectors


def _inner(student: EncoderStudent, number: int, sample: Sample) -> Tensor:
    """Return a layer's feed-forward activations for sampled tokens, (tokens, neurons)."""
    found = []
    with torch.no_grad():
        for ids, mask in sample:
            for place, (inner, _) in enumerate(student.passes(ids, mask, torch.float32)):
                if place == number:
                    found.append(inner[mask])
                    break
    tokens = torch.cat(found)
    chosen = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(0))
    return tokens[chosen[:_TOKENS_FITTED]]


def _refit(active: Tensor, weights: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return the neurons to keep, (size,), and their new weights, (size, hidden).

    Args:
        active: Activations of all neurons, (tokens, neurons).
        weights: Output weights of all neurons, (neurons, hidden).
        size: How many to keep.
    """
    moments = active.T @ active / len(active)
    damped = moments + _RIDGE * moments.diag().mean() * torch.eye(len(moments))
    wanted = moments @ weights
    kept = torch.arange(len(moments))
    while len(kept) > size:
        # The squared error added by removing each neuron once the others are refitted.
        inverse = torch.linalg.inv(damped[kept][:, kept])
        loss = ((inverse @ wanted[kept]) ** 2).sum(1) / inverse.diag()
        most = min(max(1, len(kept) // _ROUNDS), len(kept) - size)
        stays = torch.ones(len(kept), dtype=torch.bool)
        stays[loss.argsort()[:most]] = False
        kept = kept[stays]
    return kept, torch.linalg.solve(damped[kept][:, kept], wanted[kept])
