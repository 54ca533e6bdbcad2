"""Initialise the student's word table (token embeddings) from the teacher's.

The vector of a student token is the mean of the teacher's token vectors for the same characters, as
in WECHSEL (Minixhofer et al. 2022, https://arxiv.org/abs/2112.06598); a PCA of these, weighted by
token frequency, reduces them to the student's width. The shared layer has small random weights and
is near the identity, so the untrained student is close to a mean of the teacher's token vectors.
Initialising the layer from a widened teacher layer (Net2Net, bert2BERT) was measured to be worse
after equal training.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from edge_embed_conversion.console import say
from edge_embed_conversion.distillation.student import Student

__all__ = ["initialise", "lift"]

_WORD_MARK = "▁"
_FIT_TOKENS = 60_000
_FIT_POSITIONS = 24


def lift(hidden: int, dim: int, *, seed: int) -> Tensor:
    """Return a float32 (hidden, dim) matrix that maps teacher vectors into the student's space.

    If ``dim`` divides ``hidden`` it is stacked identity matrices, which keeps means and variances;
    otherwise it has random orthonormal columns (or rows).
    """
    if hidden % dim == 0:
        return torch.cat([torch.eye(dim)] * (hidden // dim))
    say(f"student: {hidden} is no multiple of the teacher's {dim}; random orthonormal map")
    generator = torch.Generator().manual_seed(seed)
    tall = torch.randn((max(hidden, dim), min(hidden, dim)), generator=generator)
    basis: Tensor = torch.linalg.qr(tall).Q
    return basis if hidden >= dim else basis.T


def initialise(
    student: Student,
    teacher: PreTrainedModel,
    *,
    pieces: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    counts: Tensor,
    seed: int,
) -> bool:
    """Set the student's embedding tables, its map to the hidden size, and its projection, in place.

    Args:
        student: The student to initialise.
        teacher: The teacher in torch.
        pieces: The student's vocabulary in order of id.
        tokenizer: The teacher's tokenizer.
        counts: (pieces,), how often each token of the student's vocabulary occurs in the corpus.
        seed: The seed of random choices.

    Returns:
        False, with a line on stderr, if the teacher has no embedding tables like BERT's; the
        student is left as it is then.
    """
    tables: Any = getattr(teacher, "embeddings", None)
    names = ("word_embeddings", "position_embeddings", "LayerNorm")
    if tables is None or not all(hasattr(tables, name) for name in names):
        say("student: random start, as the teacher has no word and position tables like BERT's")
        return False
    word_table = tables.word_embeddings.weight.detach()
    dim = word_table.shape[1]
    projected = student.projection.weight.shape[0]
    if tables.LayerNorm.weight.shape[0] != dim or projected != dim:
        say(f"student: random start, as the teacher's tables ({dim}) are not {projected} wide")
        return False
    with torch.no_grad():
        words, known = _piece_vectors(pieces, tokenizer, word_table)
        position = _positions(tables.position_embeddings)
        offset = torch.zeros(dim)
        if getattr(tables, "token_type_embeddings", None) is not None:
            offset = tables.token_type_embeddings.weight[0]
        # Square roots: frequent words weigh more, without taking up all principal directions.
        weight = (counts.float() + 1).sqrt() * known
        weight /= weight.sum()
        centre = (words * weight[:, None]).sum(dim=0)
        words = torch.where(known[:, None], words, centre)
        _, values, right = torch.linalg.svd((words - centre) * weight[:, None].sqrt())
        rank = min(student.shape.embedding_size, dim)
        basis = torch.zeros((dim, student.shape.embedding_size))
        basis[:, :rank] = right[:rank].T
        kept = float((values[:rank] ** 2).sum() / (values**2).sum())
        own = student.albert.embeddings
        own.word_embeddings.weight.copy_((words - centre) @ basis)
        own.position_embeddings.weight.zero_()
        rows = min(len(own.position_embeddings.weight), len(position))
        own.position_embeddings.weight[:rows] = position[:rows] @ basis
        own.token_type_embeddings.weight.zero_()
        own.token_type_embeddings.weight[0] = (offset + centre) @ basis
        # Least squares from the student's embeddings after LayerNorm to the teacher's, over tokens
        # drawn by frequency, at positions of short texts.
        generator = torch.Generator().manual_seed(seed)
        ids = torch.multinomial(weight, _FIT_TOKENS, replacement=True, generator=generator)
        where = torch.randint(0, min(_FIT_POSITIONS, rows), ids.shape, generator=generator)
        wanted = tables.LayerNorm(words[ids] + position[where] + offset)
        source = own.LayerNorm(
            own.word_embeddings.weight[ids]
            + own.position_embeddings.weight[where]
            + own.token_type_embeddings.weight[0]
        )
        source = torch.cat([source, torch.ones((len(ids), 1))], dim=1)
        solution = torch.linalg.lstsq(source, wanted, driver="gelsd").solution
        error = (source @ solution - wanted).pow(2).sum()
        explained = 1 - float(error / (wanted - wanted.mean(dim=0)).pow(2).sum())
        up = lift(student.shape.hidden_size, dim, seed=seed)
        linear = student.albert.encoder.embedding_hidden_mapping_in
        linear.weight.copy_(up @ solution[:-1].T)
        linear.bias.copy_(up @ solution[-1])
        student.projection.weight.copy_(torch.linalg.pinv(up))
        student.projection.bias.zero_()
    say(
        f"student: word table from the teacher's; {rank} directions keep {kept:.0%} of its "
        f"variance, {explained:.0%} after the map to the hidden size"
    )
    return True


def _positions(table: torch.nn.Embedding) -> Tensor:
    """Return the position table from position 0, for RoBERTa-like models too."""
    return table.weight if table.padding_idx is None else table.weight[table.padding_idx + 1 :]


def _piece_vectors(
    pieces: Sequence[str], tokenizer: PreTrainedTokenizerBase, table: Tensor
) -> tuple[Tensor, Tensor]:
    """Return each token's teacher vector, (pieces, dim), and which tokens have one, (pieces,).

    A token that begins with ``▁`` is looked up as the start of a word, any other as a continuation.
    """
    vocabulary = tokenizer.get_vocab()
    special = {
        "[CLS]": tokenizer.cls_token_id,
        "[SEP]": tokenizer.sep_token_id,
        "[MASK]": tokenizer.mask_token_id,
        "<pad>": tokenizer.pad_token_id,
        "<unk>": tokenizer.unk_token_id,
    }
    words = [piece.removeprefix(_WORD_MARK) for piece in pieces]
    split = tokenizer(words, add_special_tokens=False)["input_ids"]
    vectors = torch.zeros((len(pieces), table.shape[1]))
    known = torch.zeros(len(pieces), dtype=torch.bool)
    for index, (piece, word) in enumerate(zip(pieces, words, strict=True)):
        ids = split[index]
        if special.get(piece) is not None:
            ids = [special[piece]]
        elif not piece.startswith(_WORD_MARK) and f"##{word}" in vocabulary:
            ids = [vocabulary[f"##{word}"]]
        if ids:
            vectors[index] = table[ids].mean(dim=0)
            known[index] = True
    return vectors, known
