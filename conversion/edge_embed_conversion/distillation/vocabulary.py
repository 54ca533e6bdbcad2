"""The student's tokenizer: a unigram model with ALBERT's normalisation, trained on the corpus.

SentencePiece's unigram model (Kudo 2018, https://arxiv.org/abs/1804.10959) by the ``tokenizers``
library. Its trainer does not split at script boundaries, so a tenth of the vocabulary would be
tokens such as ``away.``, and common words would be missing. Such tokens are replaced by the most
frequent missing words, with their log-probability, so that punctuation is a token of its own, as in
ALBERT's vocabulary.
"""

import json
import math
import re
import string
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import (
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from edge_embed.errors import InputError, ModelFormatError
from edge_embed_conversion.console import say

__all__ = ["SPECIAL_TOKENS", "load_tokenizer", "save_tokenizer", "train_tokenizer"]

SPECIAL_TOKENS = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")

_WORD_MARK = "▁"
_ALPHABET = string.ascii_lowercase + string.digits + string.punctuation + "–—‘’“”…£€¥°§©®•×÷±«»"
_WORD = re.compile(r"[^\W\d_]+")
_MIXED = re.compile(r"(?=.*[^\W_])(?=.*[\W_])")
_LONGEST_WORD = 19


def train_tokenizer(texts: Sequence[str], *, vocab_size: int) -> Tokenizer:
    """Train a tokenizer of at most ``vocab_size`` tokens; ids 0 to 4 are the special tokens.

    Raises:
        InputError: the vocabulary is too small for all single characters.
    """
    if vocab_size < len(SPECIAL_TOKENS) + len(_ALPHABET):
        raise InputError(
            f"a vocabulary of {vocab_size} has no room for single characters; "
            "give --vocab-size 200 or more"
        )
    tokenizer = _untrained(models.Unigram())
    alphabet = [c for c in _ALPHABET if tokenizer.normalizer.normalize_str(c) == c]
    trainer = trainers.UnigramTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        unk_token="<unk>",  # noqa: S106 - a piece of a vocabulary
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(iter(texts), trainer, length=len(texts))
    pieces = _with_whole_words(tokenizer, texts)
    say(f"tokenizer: {len(pieces)} pieces trained on {len(texts)} texts")
    return _untrained(models.Unigram(pieces, unk_id=1))


def _untrained(model: models.Model) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Replace("``", '"'),
            normalizers.Replace("''", '"'),
            normalizers.NFKD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
            # SentencePiece's own character map is nmt_nfkc, which is these two.
            normalizers.Nmt(),
            normalizers.NFKC(),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    mark = {"replacement": _WORD_MARK, "prepend_scheme": "always"}
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(**mark)]
    )
    tokenizer.decoder = decoders.Metaspace(**mark)
    ids = [(token, SPECIAL_TOKENS.index(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ids
    )
    return tokenizer


def _with_whole_words(tokenizer: Tokenizer, texts: Sequence[str]) -> list[tuple[str, float]]:
    """Return the vocabulary with frequent words in place of tokens that mix in punctuation."""
    trained: list[tuple[str, float]] = [
        (piece, score) for piece, score in json.loads(tokenizer.to_str())["model"]["vocab"]
    ]
    special, pieces = trained[: len(SPECIAL_TOKENS)], trained[len(SPECIAL_TOKENS) :]
    kept = [(p, s) for p, s in pieces if not _MIXED.match(p.lstrip(_WORD_MARK))]
    there = {piece for piece, _ in kept}
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(_WORD.findall(tokenizer.normalizer.normalize_str(text)))
    total = counts.total()
    missing = [
        (_WORD_MARK + word, math.log(count / total))
        for word, count in counts.most_common()
        if _WORD_MARK + word not in there and len(word) <= _LONGEST_WORD
    ]
    kept += missing[: len(trained) - len(special) - len(kept)]
    # The trainer's order of summation varies, so its scores differ in the last digits. Rounded and
    # sorted, the same corpus always gives the same tokenizer.
    return special + sorted((piece, round(score, 2)) for piece, score in kept)


def load_tokenizer(folder: Path) -> Tokenizer:
    """Load ``folder``'s tokenizer.json, without padding or truncation.

    Raises:
        ModelFormatError: the file is missing or damaged, or its special tokens are others.
    """
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise ModelFormatError(f"{folder} has no tokenizer.json; give the folder that holds one")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:
        raise ModelFormatError(f"{file} is damaged: {error}; copy it again") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    ids = [tokenizer.token_to_id(token) for token in SPECIAL_TOKENS]
    if ids != list(range(len(SPECIAL_TOKENS))):
        raise ModelFormatError(
            f"{file} should have {', '.join(SPECIAL_TOKENS)} as ids 0 to 4, as ALBERT does"
        )
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, folder: Path, *, max_length: int) -> None:
    """Write tokenizer.json and the files that make transformers load it as it stands.

    ``PreTrainedTokenizerFast`` is named on purpose: from ``AlbertTokenizer`` transformers 5
    rebuilds the tokenizer and loses parts of its normaliser.
    """
    roles = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    special: dict[str, Any] = dict(zip(roles, SPECIAL_TOKENS, strict=True))
    special |= {"bos_token": "[CLS]", "eos_token": "[SEP]"}
    tokenizer.save(str(folder / "tokenizer.json"))
    documents = {
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": max_length,
            "padding_side": "right",
            "truncation_side": "right",
            "clean_up_tokenization_spaces": False,
            "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
            **special,
        },
        "special_tokens_map.json": special,
    }
    for name, document in documents.items():
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        (folder / name).write_text(text, encoding="utf-8")
