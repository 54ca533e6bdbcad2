"""modules.json: the steps of a sentence-transformers model, and which of them are run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from edge_embed.errors import ModelFormatError
from edge_embed.files.typed_json import typed
from edge_embed.model.dense import DenseLayer
from edge_embed.model.json_files import load_json, read_json
from edge_embed.model.layer_norm import LayerNorm
from edge_embed.model.paths import path_inside

__all__ = ["HeadStep", "read_head", "read_modules"]

HeadStep = DenseLayer | LayerNorm | Literal["normalize"]

_RUN = ("Transformer", "Pooling", "Dense", "LayerNorm", "Normalize")

# Modules of sentence-transformers that are not run, and what their models are.
_REFUSED: Mapping[str, str] = {
    "Asym": "a model with a path for queries and another for documents",
    "BoW": "a bag of words, which sentence-transformers counts without any model",
    "CLIPModel": "a model of images and texts",
    "CNN": "a convolution over word vectors",
    "LSTM": "a recurrent model over word vectors",
    "MLMTransformer": "a sparse encoder",
    "MultiVectorMask": "a model with a vector for each token, as late interaction uses them",
    "Router": "a model with a path for queries and another for documents",
    "SparseAutoEncoder": "a sparse encoder",
    "SparseStaticEmbedding": "a sparse encoder",
    "SpladePooling": "a sparse encoder",
    "WeightedLayerPooling": "a model that averages the states of its layers",
    "WordEmbeddings": "word vectors of a vocabulary of whole words",
    "WordWeights": "word vectors of a vocabulary of whole words",
}


def read_modules(folder: Path) -> tuple[Path, Path, list[tuple[str, Path]]]:
    """Return the folders of Transformer and Pooling, and kind and folder of what comes after."""
    file = folder / "modules.json"
    listed: Any = load_json(file)
    try:
        modules = [
            (_kind(typed(str, m["type"], "type"), file), path_inside(folder, m["path"], file))
            for m in listed
        ]
    except (TypeError, KeyError, ValueError, AttributeError):
        raise ModelFormatError(f"{file} should list modules with 'type' and 'path'") from None
    modules = [module for module in modules if module[0] != "Dropout"]  # for training alone
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
    """Return which module a class of modules.json is: of sentence-transformers, and one we run."""
    library, kind = name.split(".", 1)[0], name.rsplit(".", 1)[-1]
    if library != "sentence_transformers":
        raise ModelFormatError(
            f"{file} names the class {name!r:.80}, code that comes with the model: edge_embed runs "
            "sentence-transformers' own modules and never takes another class for one of them"
        )
    if kind not in (*_RUN, "Dropout"):
        what = f" ({_REFUSED[kind]})" if kind in _REFUSED else ""
        raise ModelFormatError(
            f"{file} names the module {kind!r:.80}{what}, which edge_embed does not run; "
            f"it runs {', '.join(_RUN)}"
        )
    return kind


def read_head(modules: list[tuple[str, Path]], width: int) -> tuple[HeadStep, ...]:
    """Read the steps after pooling; each layer must take what the step before it gives."""
    steps: list[HeadStep] = []
    for kind, folder in modules:
        if kind == "Normalize":
            _require_sentence_embedding(folder / "config.json")
            steps.append("normalize")
            continue
        reader = LayerNorm if kind == "LayerNorm" else DenseLayer
        layer = reader.from_folder(folder)
        if layer.in_features != width:
            raise ModelFormatError(
                f"{folder / 'config.json'} takes {layer.in_features} dimensions, the step before "
                f"it gives {width}"
            )
        width = layer.out_features
        steps.append(layer)
    return tuple(steps)


def _require_sentence_embedding(file: Path) -> None:
    """Refuse a Normalize of token states, which later versions can state in a config.json."""
    config = read_json(file, optional=True)
    for name in ("module_input_name", "module_output_name"):
        if config.get(name) not in (None, "sentence_embedding"):
            raise ModelFormatError(
                f"{file} has the {name} {config[name]!r:.40}; edge_embed normalizes the sentence "
                "embedding alone"
            )
