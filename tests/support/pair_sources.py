"""Cross-encoders as published ones are, tiny and with random weights."""

import json
import shutil
from pathlib import Path
from typing import Any

import transformers

from tests.support.tiny_sources import TINY_LIMIT, save_weights, wordpiece_tokenizer

_SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "initializer_range": 0.2,
}
_DISTILBERT = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64, "initializer_range": 0.2}
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": _SIZES,
    "electra": _SIZES | {"embedding_size": 16},
    "albert": _SIZES | {"embedding_size": 16},
    "distilbert": _DISTILBERT,
    "roberta": _SIZES,
    "xlm-roberta": _SIZES,
    "mpnet": _SIZES,
}
"""Architecture to its sizes: those whose pairs can be packed."""

_ROBERTA_LIKE = ("roberta", "xlm-roberta", "mpnet")


def make_pair_source(
    folder: Path, kind: str, corpus: list[str], *, labels: int = 1, **changes: Any
) -> Path:
    """Write a sequence classifier with its tokenizer, as transformers saves one."""
    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    if kind in _ROBERTA_LIKE:
        specials = ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"]
    tokenizer = wordpiece_tokenizer(corpus, specials)
    extra = 2 if kind in _ROBERTA_LIKE else 0
    config = transformers.AutoConfig.for_model(
        kind,
        vocab_size=tokenizer.get_vocab_size(),
        max_position_embeddings=TINY_LIMIT + extra,
        pad_token_id=tokenizer.token_to_id("[PAD]"),
        num_labels=labels,
        **{**FAMILIES.get(kind, _SIZES), **changes},
    )
    classifier = transformers.AutoModelForSequenceClassification.from_config
    save_weights(classifier, config, folder)
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]"}
    names |= {"sep_token": "[SEP]", "mask_token": "[MASK]"}
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": TINY_LIMIT,
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        **names,
    }
    if kind in (*_ROBERTA_LIKE, "distilbert"):
        settings["model_input_names"] = ["input_ids", "attention_mask"]
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def with_cosine(pair_model: Path, encoder: Path, folder: Path) -> Path:
    """Copy a converted pair model to ``folder``, which then weighs in the cosine of an encoder."""
    shutil.copytree(pair_model, folder)
    share = {"encoder": str(encoder), "weight": 4.0, "intercept": -2.5}
    share |= {"overlap": [0.2, 0.8], "least": 0.25}
    (folder / "cosine.json").write_text(json.dumps(share), encoding="utf-8")
    return folder
