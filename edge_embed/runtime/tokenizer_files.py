"""The tokenizer's files in a model folder: tokenizer.json and its settings in other files."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tokenizers import Tokenizer as FastTokenizer
from tokenizers import normalizers

from edge_embed.errors import ModelFormatError
from edge_embed.files.typed_json import typed
from edge_embed.model.json_files import malformed, read_json
from edge_embed.runtime.text_checks import no_panic
from edge_embed.runtime.tokenized_texts import TruncationSide

__all__ = [
    "TokenizerSettings",
    "check_normalizer",
    "load_tokenizer",
    "lower_case",
    "tokenizer_settings",
]


def load_tokenizer(path: Path) -> FastTokenizer:
    """Read tokenizer.json.

    Raises:
        ModelFormatError: it is missing or damaged.
    """
    try:
        content = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ModelFormatError(
            f"{path.parent} is not a complete model: tokenizer.json is missing"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFormatError(f"cannot read {path}: {error}") from error
    try:
        with no_panic("its tokenizer fails"):
            return FastTokenizer.from_str(content)
    except Exception as error:  # tokenizers raises plain Exception for a bad file
        raise ModelFormatError(
            f"{path} is damaged ({str(error)[:200]}); copy it again from the model's source"
        ) from error


def tokenizer_settings(folder: Path) -> "TokenizerSettings":
    """Read tokenizer_config.json, and special_tokens_map.json for tokens that it does not name.

    Raises:
        ModelFormatError: a file is damaged, or a value that is used is of another type.
    """
    settings = read_json(folder / "tokenizer_config.json", optional=True)
    settings = read_json(folder / "special_tokens_map.json", optional=True) | settings
    with malformed(folder / "tokenizer_config.json"):
        side = typed(Literal["left", "right"] | None, settings.get("truncation_side"), _SIDE)
        names = (typed(_Token, settings.get(name), name) for name in ("unk_token", "pad_token"))
        unknown, pad = map(_name, names)
    return TokenizerSettings(side or "right", unknown, pad)


@dataclass(frozen=True)
class TokenizerSettings:
    """Settings of a tokenizer that are not in tokenizer.json; a token is None if not named."""

    truncation_side: TruncationSide
    unk_token: str | None
    pad_token: str | None


def _name(token: "str | _Added | None") -> str | None:
    """Return a token's text; files have it as a string or as an object with ``content``."""
    name = token.content if isinstance(token, _Added) else token
    # A lone surrogate is in no vocabulary, and the library does not accept it.
    return None if name is None or any("\ud800" <= c <= "\udfff" for c in name) else name


@dataclass(frozen=True)
class _Added:
    content: str


_SIDE = "truncation_side"
_Token = str | _Added | None


def check_normalizer(tokenizer: FastTokenizer, folder: Path) -> None:
    """Refuse a BERT tokenizer whose two files differ in how texts are normalized.

    transformers makes the normalizer anew of tokenizer_config.json; we run that of tokenizer.json.

    Raises:
        ModelFormatError: they differ.
    """
    own = tokenizer.normalizer
    if not isinstance(own, normalizers.BertNormalizer):
        return
    settings = read_json(folder / "tokenizer_config.json", optional=True)
    if settings.get("tokenizer_class") in ("PreTrainedTokenizerFast", "TokenizersBackend"):
        return  # which leave tokenizer.json as it is
    for name, attribute in _BERT.items():
        said, does = settings.get(name), getattr(own, attribute)
        if isinstance(said, bool) and isinstance(does, bool) and said != does:
            raise ModelFormatError(
                f"{folder}: tokenizer_config.json says {name} {said}, tokenizer.json {attribute} "
                f"{does}: make them agree, as libraries differ in which of them they follow"
            )


# Settings of tokenizer_config.json and the normalizer's own names for them.
_BERT = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}


def lower_case(tokenizer: FastTokenizer) -> None:
    """Make a tokenizer lower-case texts first, as sentence-transformers' ``do_lower_case`` does.

    Special tokens are recognised before that, so that ``[SEP]`` in a text is still one.
    """
    own = tokenizer.normalizer
    steps = list(own) if isinstance(own, normalizers.Sequence) else [own] if own else []
    if not any(isinstance(step, normalizers.Lowercase) for step in steps):
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *steps])
