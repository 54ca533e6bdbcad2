"""A walk over the settings of a model folder: each field of each file takes each kind of value.

A folder that says something else than a model's own must be refused, or be read as the same model:
never a traceback, and never another model in silence. What a field is for, it may change: those
fields are listed, and no value of another type may pass even there.
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_embed.model.card import ModelCard
from edge_embed.model.config import ModelConfig
from edge_embed.model.pair_threshold import PairThreshold
from edge_embed.model.precision import Ranges
from edge_embed.model.receipt import read_receipt
from edge_embed.runtime.tokenizer import Tokenizer
from tests.fuzz.outcome import Outcome

__all__ = ["settings_of", "walk_fields"]

# Each field of a folder's own that changes what it computes, as FILE:FIELD, and lists below it.
HONOURED = re.compile(
    r"modules\.json:.*"
    r"|1_Pooling/config\.json:(pooling_mode.*|word_embedding_dimension|embedding_dimension"
    r"|include_prompt)"
    r"|sentence_bert_config\.json:(max_seq_length|do_lower_case)"
    r"|config\.json:(max_position_embeddings|pad_token_id|model_type)"
    r"|config_sentence_transformers\.json:(prompts.*|default_prompt_name|similarity_fn_name"
    r"|truncate_dim)"
    r"|tokenizer_config\.json:(model_max_length|truncation_side|unk_token|pad_token"
    r"|do_lower_case|strip_accents|tokenize_chinese_chars|tokenizer_class)"
    r"|special_tokens_map\.json:(unk_token|pad_token).*"
    r"|tokenizer\.json:.*"
    r"|edge_embed\.json:.*"
    r"|embedding_ranges\.json:.*|pair_threshold\.json:.*|exits\.json:.*"
)
# What the quantization chose is kept as it was written; the tokenizers library reads its own file.
_FREE = re.compile(r"edge_embed\.json:variants\.\w+\.recipe|tokenizer\.json:")
_VALUES: list[Any] = [None, True, False, -1, 0, 1, 3, 1.5, 2**40, 2**70, 1e308, "", "x", "\ud83d"]
_VALUES += [[], ["x"], [[]], {}, {"x": 1}, "y" * 10_000]
_REMOVED = object()
_TEXTS = ["A parcel", "the UPPER and the lower", "[SEP] <s> </s>", "naïve ﬁ 你好", "word " * 600]
# Of the vocabulary and what lies in a receipt's files a few entries stand for all.
_MOST_ENTRIES = 6
_WORDS = 1100  # with the letters of WordPiece vocabularies, which begin with unused entries


def settings_of(model: Path, folder: Path) -> Path:
    """Copy a model's settings, without weights, and of its vocabulary a small part."""
    weights = shutil.ignore_patterns("*.bin", "*.safetensors", "*.png", "checkpoint*")
    shutil.copytree(model, folder, ignore=weights)
    file = folder / "tokenizer.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    parts = document["model"]
    if isinstance(parts["vocab"], dict):
        words = sorted(parts["vocab"].items(), key=lambda item: int(item[1]))
        special = {token["content"] for token in document["added_tokens"]}
        kept = [pair for n, pair in enumerate(words) if n < _WORDS or pair[0] in special]
        parts["vocab"] = dict(kept)
        if "merges" in parts:
            parts["merges"] = []
    else:
        parts["vocab"] = parts["vocab"][:_WORDS]
    file.write_text(json.dumps(document), encoding="utf-8")
    return folder


def walk_fields(outcome: Outcome, folder: Path, *, every: int = 1) -> None:
    """Change each field of a folder's settings in turn; the folder is as it was at the end.

    Args:
        outcome: Counts, and keeps what fell.
        folder: A model's settings.
        every: Of the changes, only every so many is tried.
    """
    own, number = _reading(folder), 0
    for file in sorted(folder.rglob("*.json")):
        content = file.read_bytes()
        document = json.loads(content)
        name = file.relative_to(folder).as_posix()
        try:
            for path, holder, key in list(_fields(document, "")):
                value = holder[key]
                for new in [*_VALUES, _REMOVED]:
                    number += 1
                    if number % every:
                        continue
                    _put(holder, key, new)
                    file.write_text(json.dumps(document), encoding="utf-8")
                    _try(outcome, folder, own, f"{name}:{path}", value, new)
                    holder[key] = value
        finally:
            file.write_bytes(content)


def _put(holder: Any, key: Any, value: object) -> None:
    if value is not _REMOVED:
        holder[key] = value
    elif isinstance(holder, dict):
        del holder[key]
    else:
        holder[key] = None


def _try(
    outcome: Outcome, folder: Path, own: tuple[object, ...], field: str, value: object, new: object
) -> None:
    found: list[tuple[object, ...]] = []
    outcome.attempt("field", lambda: found.append(_reading(folder)))
    if not found or found[0] == own:
        return
    shown = "nothing" if new is _REMOVED else f"{new!r:.40}"
    if not HONOURED.fullmatch(field):
        outcome.fell.append(f"{field}: {shown} for {value!r:.40} changes the model in silence")
    elif _FREE.match(field):
        return
    elif new is not None and new is not _REMOVED and not _same_kind(value, new):
        outcome.fell.append(f"{field}: {shown} for {value!r:.40} is taken in silence")


def _same_kind(value: object, new: object) -> bool:
    """Whether one value may stand where another does: a list or a text, a number or a number."""
    kinds: list[tuple[type, ...]] = [(bool,), (int, float), (str, list), (dict, str), (list,)]
    if value is None:
        return not isinstance(new, (list, dict))
    both = [kind for kind in kinds if isinstance(value, kind) and isinstance(new, kind)]
    return bool(both) and isinstance(value, bool) == isinstance(new, bool)


def _fields(document: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield the path, holder and key of every field, holders too."""
    keys = list(document) if isinstance(document, dict) else list(range(len(document)))
    if len(keys) > 40:  # a vocabulary
        keys = keys[:: max(1, len(keys) // _MOST_ENTRIES)]
    for key in keys:
        below = f"{path}.{key}" if path else str(key)
        yield below, document, key
        if isinstance(document[key], (dict, list)):
            yield from _fields(document[key], below)


def _reading(folder: Path) -> tuple[object, ...]:
    """Read everything of a folder that vectors depend on, but for the graph."""
    config = ModelConfig.from_folder(folder)
    tokenizer = Tokenizer(config)
    tokenized = tokenizer(_TEXTS)
    tokens = [ids.tolist() for ids in tokenized.ids]
    variants = sorted(config.variants)
    ranges = Ranges.load(folder, dim=config.dim)
    threshold = PairThreshold.load(folder)
    receipt = read_receipt(folder)
    return (
        config,
        tokens,
        tokenized.unknown.tolist(),
        (tokenizer.vocabulary_size, tokenizer.pad_id),
        variants,
        ranges is None or (ranges.plain.tolist(), ranges.normalized.tolist()),
        threshold,
        receipt,
        ModelCard.from_folder(folder),
    )
