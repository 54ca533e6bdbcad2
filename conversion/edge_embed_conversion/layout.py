"""Write every file but the graph: sentence-transformers' layout, copied from the source.

Files are copied byte for byte. Two are made where the source lacks them, with a line on stderr:
``tokenizer.json`` (from a vocabulary or SentencePiece file, through transformers) and
``1_Pooling/config.json`` (with the pooling that the user states).
"""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from edge_embed.errors import InputError, MissingExtraError, ModelFormatError
from edge_embed.model.config import POOLING_KEYS, ModelConfig, PoolingMode
from edge_embed.model.json_files import load_json, read_json
from edge_embed.model.kinds import require_encoder
from edge_embed.model.paths import path_inside
from edge_embed_conversion.console import say

__all__ = ["copy_tokenizer", "write_layout"]

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
_TOKENIZER_SOURCES = (
    "vocab.txt",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
    "vocab.json",
)
# The keys under which architectures state the width of a token's state in config.json.
_WIDTHS = ("hidden_size", "dim", "d_model", "n_embd")
# sentence-transformers reads the limit from whichever of these it finds first.
_LIMIT_FILES = (
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
)


def write_layout(source: Path, folder: Path, *, pooling: PoolingMode | None = None) -> str:
    """Write every file but the graph from ``source`` into ``folder``.

    Args:
        source: the model folder to copy from.
        folder: the folder to write; it exists and is empty.
        pooling: the pooling mode, for a source that does not state one.

    Returns:
        The origin of tokenizer.json: ``copied``, or ``made from FILE by transformers VERSION``.

    Raises:
        ModelFormatError: the source states no pooling, has a module that this project does not
            run, or lacks a file.
        InputError: a pooling was given for a source that states one.
    """
    transformer = source
    if (source / "modules.json").exists():
        if pooling is not None:
            raise InputError(
                f"{source} states its pooling (modules.json); --pooling is for models that do not"
            )
        ModelConfig.from_folder(source)  # checked here, so that errors name the source's files
        transformer = _copy_modules(source, folder)
    else:
        _write_modules(source, folder, pooling)
    read_json(transformer / "config.json")
    _copy(transformer / "config.json", folder / "config.json")
    for file in _LIMIT_FILES:
        if (transformer / file).is_file():
            _copy(transformer / file, folder / "sentence_bert_config.json")
            break
    _copy_if_there(source, folder, "config_sentence_transformers.json")
    for pattern in ("LICENSE*", "LICENCE*", "NOTICE*"):
        for path in source.glob(pattern):
            if path.is_file():
                _copy(path, folder / path.name)
    origin = copy_tokenizer(transformer, folder)
    ModelConfig.from_folder(folder)
    return origin


def copy_tokenizer(source: Path, folder: Path) -> str:
    """Copy the tokenizer's files, or make tokenizer.json; return its origin (see `write_layout`).

    Raises:
        ModelFormatError: there is no tokenizer, or tokenizer.json cannot be made.
        MissingExtraError: making it needs sentencepiece, which is not installed.
    """
    for file in _TOKENIZER_FILES:
        _copy_if_there(source, folder, file)
    if (folder / "tokenizer.json").exists():
        return "copied"
    return _make_tokenizer(source, folder)


def _copy_modules(source: Path, folder: Path) -> Path:
    """Copy modules.json and what it names; return the transformer's folder."""
    modules: Any = load_json(source / "modules.json")
    transformer = source
    moved = False
    for module in modules:
        path = str(module["path"])
        path_inside(source, path, source / "modules.json")
        if module["type"].rsplit(".", 1)[-1] == "Transformer":
            transformer = source / path
            moved = path not in ("", ".")
            module["path"] = ""
        elif (source / path / "config.json").is_file():
            (folder / path).mkdir(parents=True, exist_ok=True)
            _copy(source / path / "config.json", folder / path / "config.json")
            if module["type"].endswith((".Dense", ".LayerNorm")):
                _copy_layer(source / path, folder / path)
    if moved:
        say(f"layout: the transformer's files move from {transformer.name}/ to the model's root")
        _write_json(folder / "modules.json", modules)
    else:
        _copy(source / "modules.json", folder / "modules.json")
    return transformer


def _copy_layer(source: Path, target: Path) -> None:
    """Copy a module's weights; an older pytorch_model.bin is rewritten as model.safetensors."""
    if (source / "model.safetensors").is_file() or not (source / "pytorch_model.bin").is_file():
        _copy(source / "model.safetensors", target / "model.safetensors")
        return
    import torch
    from safetensors.torch import save_file

    try:
        arrays = torch.load(source / "pytorch_model.bin", map_location="cpu", weights_only=True)
        save_file(arrays, target / "model.safetensors", {"format": "pt"})
    except Exception as error:
        raise ModelFormatError(f"cannot read {source / 'pytorch_model.bin'}: {error}") from error
    say(f"layout: {source.name}/pytorch_model.bin becomes model.safetensors")


def _write_modules(source: Path, folder: Path, pooling: PoolingMode | None) -> None:
    require_encoder(source)
    if pooling is None:
        raise ModelFormatError(
            f"{source} has no modules.json with a 1_Pooling: pooling is never guessed; state it "
            f"with --pooling {'|'.join(get_args(PoolingMode))}"
        )
    config = read_json(source / "config.json")
    hidden_size = next((config[key] for key in _WIDTHS if isinstance(config.get(key), int)), None)
    if hidden_size is None:
        raise ModelFormatError(f"{source / 'config.json'} does not say its hidden_size")
    say(f"layout: {pooling} pooling, as --pooling states")
    # The boolean keys, which all versions of sentence-transformers can read.
    flags = {key: mode == pooling for key, mode in POOLING_KEYS.items()}
    (folder / "1_Pooling").mkdir()
    _write_json(
        folder / "1_Pooling" / "config.json", {"word_embedding_dimension": hidden_size, **flags}
    )
    kinds = (("", "Transformer"), ("1_Pooling", "Pooling"))
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds)
    ]
    _write_json(folder / "modules.json", modules)


def _make_tokenizer(source: Path, folder: Path) -> str:
    """Build tokenizer.json from the source's older tokenizer files, and say so."""
    found = [name for name in _TOKENIZER_SOURCES if (source / name).is_file()]
    if not found:
        raise ModelFormatError(
            f"{source} has no tokenizer.json and nothing to make it from "
            f"({', '.join(_TOKENIZER_SOURCES)})"
        )
    if found[0].endswith(".model") and find_spec("sentencepiece") is None:
        raise MissingExtraError(f"a tokenizer made from {found[0]}", "convert", "sentencepiece")
    import transformers

    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            source, local_files_only=True, use_fast=True
        )
        tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    except Exception as error:
        raise ModelFormatError(
            f"cannot make a tokenizer from {source / found[0]}: {error}"
        ) from error
    origin = f"made from {found[0]} by transformers {transformers.__version__}"
    say(f"tokenizer: {origin}, as the source has no tokenizer.json")
    return origin


def _copy_if_there(source: Path, folder: Path, name: str) -> None:
    if (source / name).is_file():
        _copy(source / name, folder / name)


def _copy(source: Path, target: Path) -> None:
    try:
        shutil.copyfile(source, target)
    except FileNotFoundError:
        raise ModelFormatError(
            f"{source.parent} is not a complete model: {source.name} is missing"
        ) from None


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
