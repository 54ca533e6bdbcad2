"""Make a student smaller before it is trained, by leaving out what matters least to its vectors.

Layers are chosen by how texts' similarities change without them, one after the other. Of the
feed-forward parts those neurons go whose loss the others can make up for, and the others' weights
are fitted anew to give what all gave (optimal brain surgeon: Hassibi and Stork 1993; least squares
as in Luo et al. 2017, "ThiNet"). A student that starts so has most of its source's quality, and
needs far less training than one that starts with every second layer.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from edge_embed_conversion.distillation.encoder_student import EncoderStudent

__all__ = ["keep_layers", "sample_of", "shrink_inner"]

_TOKENS_FITTED = 20_000
_AT_ONCE = 64
# Few at a time: of two that stand in for each other, only one may go.
_ROUNDS = 24
# Where neurons hardly differ, their weights are kept small.
_RIDGE = 1e-4

Sample = Sequence[tuple[Tensor, Tensor]]
"""Batches of ids and masks, (texts, width)."""


def sample_of(texts: Sequence[str], tokenizer: Tokenizer) -> list[tuple[Tensor, Tensor]]:
    """Return ``texts`` as batches, each of texts of about the same length."""
    ids = sorted((encoding.ids for encoding in tokenizer.encode_batch(list(texts))), key=len)
    batches = []
    for start in range(0, len(ids), _AT_ONCE):
        rows = ids[start : start + _AT_ONCE]
        batch = torch.zeros(len(rows), len(rows[-1]), dtype=torch.long)
        mask = torch.zeros_like(batch, dtype=torch.bool)
        for place, row in enumerate(rows):
            batch[place, : len(row)] = torch.tensor(row)
            mask[place, : len(row)] = True
        batches.append((batch, mask))
    return batches


def keep_layers(student: EncoderStudent, count: int, sample: Sample) -> list[int]:
    """Leave out layers until ``count`` are left; return which stay, numbered from 0."""
    layers = list(student.layers)
    kept = list(range(len(layers)))
    whole = _similarities(student, sample)

    def agreement(some: list[int]) -> float:
        student.layers = nn.ModuleList(layers[number] for number in some)
        return float(np.corrcoef(whole, _similarities(student, sample))[0, 1])

    while len(kept) > count:
        fewer = [kept[:place] + kept[place + 1 :] for place in range(len(kept))]
        kept = max(fewer, key=agreement)
    student.layers = nn.ModuleList(layers[number] for number in kept)
    return kept


def shrink_inner(student: EncoderStudent, size: int, sample: Sample) -> None:
    """Keep ``size`` neurons of each feed-forward part, and fit what they give to what all gave."""
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


def _similarities(student: EncoderStudent, sample: Sample) -> npt.NDArray[np.float32]:
    last = len(student.layers)
    with torch.inference_mode():
        vectors = torch.cat(
            [student(ids, mask, (last,), torch.float32)[last] for ids, mask in sample]
        )
    above = np.triu_indices(len(vectors), 1)
    similarities: npt.NDArray[np.float32] = (vectors @ vectors.T).numpy()[above]
    return similarities


def _inner(student: EncoderStudent, number: int, sample: Sample) -> Tensor:
    """Return the activations of a layer's neurons for some tokens, (tokens, neurons)."""
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
    """Return the neurons to keep and their new weights, (size, hidden)."""
    moments = active.T @ active / len(active)
    damped = moments + _RIDGE * moments.diag().mean() * torch.eye(len(moments))
    wanted = moments @ weights
    kept = torch.arange(len(moments))
    while len(kept) > size:
        # What is lost without a neuron when the others are fitted anew.
        inverse = torch.linalg.inv(damped[kept][:, kept])
        loss = ((inverse @ wanted[kept]) ** 2).sum(1) / inverse.diag()
        most = min(max(1, len(kept) // _ROUNDS), len(kept) - size)
        stays = torch.ones(len(kept), dtype=torch.bool)
        stays[loss.argsort()[:most]] = False
        kept = kept[stays]
    return kept, torch.linalg.solve(damped[kept][:, kept], wanted[kept])
