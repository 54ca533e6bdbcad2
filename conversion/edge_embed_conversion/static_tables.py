"""Convert models without a transformer: sentence-transformers' StaticEmbedding, and model2vec.

Such a model is a table with one vector a token id. Separate row indices and weights of tokens, as
model2vec has them, are merged into the table, and an INT8 table is written beside it.
sentence-transformers can load the resulting folder.
"""

import json
import shutil
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_embed.errors import InputError, MissingExtraError, ModelFormatError
from edge_embed.files.atomic import atomic_folder
from edge_embed.model.file_hashes import file_hash
from edge_embed.model.json_files import load_json, read_json
from edge_embed.model.modules import table_modules
from edge_embed.model.receipt import (
    Receipt,
    SourceRecord,
    TextSetRecord,
    VariantReceipt,
    hash_files,
    write_receipt,
)
from edge_embed.model.variants import TABLES
from edge_embed.runtime.static_engine import StaticTable
from edge_embed_conversion.console import say
from edge_embed_conversion.fidelity import EvaluationSet
from edge_embed_conversion.layout import copy_tokenizer
from edge_embed_conversion.sources import SourceKind, card_of

__all__ = ["convert_table", "is_table_source"]

_STATIC = "sentence_transformers.models.StaticEmbedding"
_NORMALIZE = "sentence_transformers.models.Normalize"


def is_table_source(source: str | Path) -> bool:
    """Return whether ``source`` is a folder with a table of token vectors and no transformer."""
    folder = Path(source)
    if not folder.is_dir():
        return False
    if (folder / "modules.json").is_file():
        try:
            return table_modules(folder, anywhere=True) is not None
        except ModelFormatError:  # raised again, with its message, when the folder is read
            return False
    return _is_model2vec(folder)


def convert_table(source: Path, output: Path, *, precision: str, force: bool) -> Receipt:
    """Convert a folder of token vectors.

    Args:
        source: The folder.
        output: The folder to write; it appears whole or not at all.
        precision: ``int8``, which writes the FP32 table beside the small one, or ``fp32``.
        force: Replace an existing folder.

    Raises:
        InputError: the precision is another.
        ModelFormatError: the source lacks something, or is damaged.
        MissingExtraError: safetensors is not installed.
        OutputError: the folder exists, or cannot be written.
    """
    if precision not in TABLES:
        raise InputError(f"a table of token vectors is converted to int8 or fp32, not {precision}")
    if source.resolve().is_relative_to(output.resolve()):
        raise InputError(f"the output {output} holds the source itself; give another folder")
    place = _place(source)
    weights = place / TABLES["fp32"]
    table = StaticTable.from_safetensors(weights)
    say(f"source: {SourceKind.FOLDER.value} {source}: {len(table)} token vectors")
    with atomic_folder(output, force=force) as folder:
        _write_modules(source, folder)
        tokenizer = copy_tokenizer(place, folder)
        _save(folder / TABLES["fp32"], {"embedding.weight": np.asarray(table.vectors, np.float32)})
        variants = {"fp32": VariantReceipt(TABLES["fp32"], "converted", {}, (), None)}
        evaluation = EvaluationSet.shipped()
        if precision == "int8":
            small = table.quantized()
            assert small.scales is not None  # noqa: S101 - it is quantized
            _save(folder / TABLES["int8"], {"embeddings": small.vectors, "scales": small.scales})
            variants = {"int8": _measured(folder, evaluation), **variants}
        licence, languages = card_of(source)
        receipt = Receipt(
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            source=SourceRecord(
                name=source.resolve().name,
                kind=SourceKind.FOLDER.value,
                weights="table",
                weights_sha256=file_hash(weights).sha256,
                revision=None,
            ),
            licence=licence,
            languages=languages,
            precision=precision,
            tokenizer=tokenizer,
            reference="its own FP32 table",
            variants=variants,
            calibration=None,
            evaluation=TextSetRecord(
                evaluation.texts.name, len(evaluation.texts.texts), evaluation.texts.sha256
            ),
            tools={},
            files=hash_files(folder),
        )
        write_receipt(folder, receipt)
    say(f"done: {output}")
    return receipt


def _is_model2vec(folder: Path) -> bool:
    return read_json(folder / "config.json", optional=True).get("model_type") == "model2vec"


def _place(source: Path) -> Path:
    """Return the folder of the table and its tokenizer."""
    if not (source / "modules.json").is_file():
        return source
    found = table_modules(source, anywhere=True)
    assert found is not None  # noqa: S101 - is_table_source was true
    return found.folder


def _write_modules(source: Path, folder: Path) -> None:
    """Write modules.json with the table at the folder's root, and copy the modules after it."""
    steps: list[tuple[str, str]] = []
    if (source / "modules.json").is_file():
        listed: Any = load_json(source / "modules.json")  # its paths have been checked
        for module in listed[1:]:
            if (source / module["path"]).is_dir():
                shutil.copytree(source / module["path"], folder / module["path"])
            steps.append((str(module["type"]), str(module["path"])))
    elif read_json(source / "config.json").get("normalize"):
        steps.append((_NORMALIZE, "1_Normalize"))
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": kind}
        for number, (kind, path) in enumerate([(_STATIC, ""), *steps])
    ]
    (folder / "modules.json").write_text(json.dumps(modules, indent=2) + "\n", encoding="utf-8")
    for name in ("config_sentence_transformers.json", "README.md", "LICENSE", "NOTICE"):
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)


def _save(path: Path, arrays: dict[str, npt.NDArray[np.generic]]) -> None:
    try:
        from safetensors.numpy import save_file
    except ImportError:
        raise MissingExtraError("converting a table of vectors", "convert", "safetensors") from None
    save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, path, {"format": "pt"})


def _measured(folder: Path, evaluation: EvaluationSet) -> VariantReceipt:
    """Compare the INT8 table's vectors with the FP32 table's, on the evaluation texts."""
    from edge_embed.embedder import Embedder

    vectors = {
        name: Embedder(folder, variant=name, cache=False)
        .encode_detailed(list(evaluation.all_texts))
        .vectors
        for name in ("int8", "fp32")
    }
    if not np.isfinite(vectors["fp32"]).all():
        raise ModelFormatError(f"{folder} gives vectors with values that are no numbers")
    fidelity = evaluation.compare(vectors["int8"], vectors["fp32"])
    return VariantReceipt(TABLES["int8"], "quantized", {"scales": "rows"}, (), fidelity)
