"""The tokenizer's files in a model folder: tokenizer.json and what the others say of it."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as FastTokenizer
from tokenizers import normalizers

from edge_embed.errors import ModelFormatError
from edge_embed.model.json_files import read_json
from edge_embed.runtime.text_checks import no_panic

__all__ = ["load_tokenizer", "lower_case", "token_name", "tokenizer_settings"]


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


def tokenizer_settings(folder: Path) -> dict[str, Any]:
    """Return what tokenizer_config.json says, and of special tokens special_tokens_map.json.

    Published files differ in which of the two names a token.
    """
    settings = read_json(folder / "tokenizer_config.json", optional=True)
    return read_json(folder / "special_tokens_map.json", optional=True) | settings


def token_name(value: object) -> str | None:
    """Return the token that a file names, as a text or as an object with its content."""
    if isinstance(value, dict):
        value = value.get("content")
    # Half a surrogate pair is in no vocabulary, and no argument of the library.
    if isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value):
        return value
    return None


def lower_case(tokenizer: FastTokenizer) -> None:
    """Let a tokenizer lower-case texts first, as sentence-transformers' ``do_lower_case`` does.

    Special tokens are recognised before, so that ``[SEP]`` in a text stays one.
    """
    own = tokenizer.normalizer
    steps = list(own) if isinstance(own, normalizers.Sequence) else [own] if own else []
    if not any(isinstance(step, normalizers.Lowercase) for step in steps):
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *steps])
