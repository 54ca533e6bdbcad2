"""modules.json: the modules of a sentence-transformers model, and which of them are supported."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from edge_embed.errors import ModelFormatError
from edge_embed.files.typed_json import typed
from edge_embed.model.dense import DenseLayer
from edge_embed.model.json_files import load_json, read_json
from edge_embed.model.layer_norm import LayerNorm
from edge_embed.model.paths import path_inside

__all__ = [
    "HeadStep",
    "TableModules",
    "check_modules",
    "read_head",
    "read_modules",
    "table_modules",
]

HeadStep = DenseLayer | LayerNorm | Literal["normalize"]

_SUPPORTED = ("Transformer", "Pooling", "Dense", "LayerNorm", "Normalize", "StaticEmbedding")

_IMAGES = ("a model of images and texts", "take an encoder of texts")
_ROUTED = (
    "a model with a path for queries and another for documents",
    "convert each path into a folder of its own with 'edge-embed convert SOURCE --route NAME'",
)
_SPARSE = (
    "a sparse encoder, which gives weights of words and no vectors",
    "take a dense encoder; sentence-transformers' SparseEncoder runs this one",
)
_TOKENS = (
    "a model for late interaction, which gives a vector for each token",
    "take an encoder with a vector for each text; sentence-transformers' MultiVectorEncoder or "
    "PyLate runs this one",
)
_WORDS = (
    "a model of whole words, without a transformer",
    "take an encoder with a Transformer, which is as small today",
)

# Modules of sentence-transformers that are not supported: the kind of model, and a remedy.
_REFUSED: Mapping[str, tuple[str, str]] = {
    "Asym": _ROUTED,
    "BoW": _WORDS,
    "CLIPModel": _IMAGES,
    "CNN": _WORDS,
    "HierarchicalTokenPooling": _TOKENS,
    "LSTM": _WORDS,
    "LambdaTokenPooling": _TOKENS,
    "LogitScore": (
        "a reranker that asks a language model for its next word",
        "take a cross-encoder that is a sequence classifier",
    ),
    "MLMTransformer": _SPARSE,
    "MultiVectorMask": _TOKENS,
    "Router": _ROUTED,
    "SparseAutoEncoder": _SPARSE,
    "SparseStaticEmbedding": _SPARSE,
    "SpladePooling": _SPARSE,
    "WeightedLayerPooling": (
        "a mean of the states of several layers",
        "take a model that pools its last layer",
    ),
    "WordEmbeddings": _WORDS,
    "WordWeights": _WORDS,
}


def check_modules(folder: Path) -> list[tuple[str, Path]]:
    """Return kind (such as ``Pooling``) and folder of every module of a model, in order.

    Raises:
        ModelFormatError: modules.json is missing or damaged, or names one that is not supported.
    """
    file = folder / "modules.json"
    if not file.is_file():
        raise ModelFormatError(
            f"{folder} is not a complete model: modules.json is missing{_remedy(folder)}"
        )
    listed: Any = load_json(file)
    try:
        modules = [
            (_kind(typed(str, m["type"], "type"), file), path_inside(folder, m["path"], file))
            for m in listed
        ]
    except (TypeError, KeyError, ValueError, AttributeError):
        raise ModelFormatError(f"{file} should list modules with 'type' and 'path'") from None
    return [module for module in modules if module[0] != "Dropout"]  # no effect at inference


def _remedy(folder: Path) -> str:
    """Return what to do about a folder without modules.json, for an error message, or ""."""
    inner = sorted(path.parent for path in folder.glob("*/modules.json"))
    if inner:
        return f"; the folder {inner[0].name} in it is a model: give {inner[0]}"
    if (folder / "config.json").is_file():
        return (
            "; it looks like a transformer alone: 'edge-embed convert "
            f"{folder} -o DIR --pooling MODE' makes a model of it"
        )
    return ""


class TableModules(NamedTuple):
    """The modules of a model that is a table of token vectors."""

    folder: Path
    """The folder of the table."""
    head: list[tuple[str, Path]]
    """Kind and folder of the modules after the mean of a text's token vectors."""


def table_modules(folder: Path, *, anywhere: bool = False) -> TableModules | None:
    """Return the modules of a model without a transformer (StaticEmbedding); None for others.

    Args:
        folder: The model.
        anywhere: Accept a table in a subfolder, as sources of a conversion have it.

    Raises:
        ModelFormatError: modules.json is missing or damaged, or names one that is not supported.
    """
    modules = check_modules(folder)
    if not modules or modules[0][0] != "StaticEmbedding":
        return None
    (_, place), *head = modules
    wrong = [kind for kind, _ in head if kind in ("Transformer", "Pooling", "StaticEmbedding")]
    if wrong:
        raise ModelFormatError(
            f"{folder / 'modules.json'} has {wrong[0]} after StaticEmbedding: edge_embed runs "
            "Dense, LayerNorm and Normalize there"
        )
    if not anywhere and place.resolve() != folder.resolve():
        raise ModelFormatError(
            f"{folder} has its table of vectors in {place.name}: run 'edge-embed convert {folder} "
            "-o DIR' first"
        )
    return TableModules(place, head)


def read_modules(folder: Path) -> tuple[Path, Path, list[tuple[str, Path]]]:
    """Return the folders of Transformer and Pooling, and kind and folder of the modules after them.

    Raises:
        ModelFormatError: modules.json is missing or damaged, or has another order of modules.
    """
    file = folder / "modules.json"
    modules = check_modules(folder)
    kinds = [kind for kind, _ in modules]
    for needed in ("Transformer", "Pooling"):
        if needed not in kinds:
            raise ModelFormatError(
                f"{file} names no {needed} module: edge_embed does not guess it; add the module "
                f"as sentence-transformers writes it"
                + (" (1_Pooling/config.json)" if needed == "Pooling" else "")
            )
    if kinds[:2] != ["Transformer", "Pooling"] or len(set(kinds[2:]) & set(kinds[:2])):
        raise ModelFormatError(
            f"{file} has the modules {', '.join(kinds)}; edge_embed runs a Transformer, then a "
            "Pooling, then Dense, LayerNorm and Normalize in any order"
        )
    return modules[0][1], modules[1][1], modules[2:]


def _kind(name: str, file: Path) -> str:
    """Return the kind of a class in modules.json, such as ``Pooling``.

    Raises:
        ModelFormatError: it is not a supported module of sentence-transformers.
    """
    library, kind = name.split(".", 1)[0], name.rsplit(".", 1)[-1]
    if library != "sentence_transformers":
        raise ModelFormatError(
            f"{file} names the class {name!r:.80}, code that comes with the model: edge_embed runs "
            "sentence-transformers' own modules and never takes another class for one of them"
        )
    if kind not in (*_SUPPORTED, "Dropout"):
        if kind in _REFUSED:
            what, remedy = _REFUSED[kind]
            raise ModelFormatError(f"{file} names the module {kind!r}: it is {what}; {remedy}")
        raise ModelFormatError(
            f"{file} names the module {kind!r:.80}, which edge_embed does not run; it runs "
            f"{', '.join(_SUPPORTED)}"
        )
    return kind


def read_head(modules: list[tuple[str, Path]], width: int) -> tuple[HeadStep, ...]:
    """Read the steps after pooling.

    Args:
        modules: Kind and folder of each, in order.
        width: Number of dimensions after pooling.

    Raises:
        ModelFormatError: a file is missing or damaged, or a layer's input has another width than
            the output before it.
    """
    steps: list[HeadStep] = []
    for kind, folder in modules:
        if kind == "Normalize":
            _require_sentence_embedding(folder / "config.json")
            steps.append("normalize")
            continue
        layer: DenseLayer | LayerNorm = (
            LayerNorm.from_folder(folder) if kind == "LayerNorm" else DenseLayer.from_folder(folder)
        )
        if layer.in_features != width:
            raise ModelFormatError(
                f"{folder / 'config.json'} takes {layer.in_features} dimensions, the step before "
                f"it gives {width}"
            )
        width = layer.out_features
        steps.append(layer)
    return tuple(steps)


def _require_sentence_embedding(file: Path) -> None:
    """Refuse a Normalize of token states, which newer models can state in a config.json."""
    config = read_json(file, optional=True)
    for name in ("module_input_name", "module_output_name"):
        if config.get(name) not in (None, "sentence_embedding"):
            raise ModelFormatError(
                f"{file} has the {name} {config[name]!r:.40}; edge_embed normalizes the sentence "
                "embedding alone"
            )
