"""Find the folder of a model by its name: a folder, a shipped model, or a hub repository."""

import warnings
from pathlib import Path

from edge_embed.errors import ModelFormatError, ModelNotFoundError
from edge_embed.model.json_files import load_json

__all__ = [
    "DEFAULT_MODEL",
    "DEFAULT_PAIR_MODEL",
    "resolve_model",
    "shipped_models",
    "shipped_pair_models",
]

DEFAULT_MODEL = "edge-embed-small"
"""The shipped model that is used if none is named."""

DEFAULT_PAIR_MODEL = "edge-embed-pairs"
"""The shipped pair model (cross-encoder)."""

# Shipped models of former versions, and the models that replaced them.
_REPLACED = {"edge-embed-albert-mini": "edge-embed-tiny"}

# In the repository, but not in the package, to keep that small.
_IN_REPOSITORY = ("edge-embed-albert",)

# The files of a hub repository that the runtime reads; weights in other formats are not fetched.
_HUB_FILES = ["*.json", "*/config.json", "openvino/*", "README.md"]


def shipped_models() -> dict[str, Path]:
    """Return the encoders that come with the package: name to folder."""
    folders = _shipped_folders()
    return {name: folder for name, folder in folders.items() if (folder / "modules.json").is_file()}


def shipped_pair_models() -> dict[str, Path]:
    """Return the pair models that come with the package: name to folder."""
    encoders = shipped_models()
    return {name: folder for name, folder in _shipped_folders().items() if name not in encoders}


def _shipped_folders() -> dict[str, Path]:
    package = Path(__file__).resolve().parents[1]
    # In a wheel the models are inside the package, in a checkout beside it.
    for parent in (package / "models", package.parent / "models"):
        folders = sorted(file.parent for file in parent.glob("*/edge_embed.json"))
        if folders:
            return {folder.name: folder for folder in folders}
    return {}


def resolve_model(model: str | Path | None, *, revision: str | None = None) -> Path:
    """Return the folder of ``model``: a path, a shipped model's name, or a hub id.

    None is :data:`DEFAULT_MODEL`. A hub id is looked up in the local hub cache first and downloaded
    only if it is not there. A shipped model of a former version gives the one that replaced it,
    with a warning.

    Args:
        model: The folder, name or hub id.
        revision: Branch, tag or commit of a hub id.

    Raises:
        ModelNotFoundError: it is none of the three, or the hub cannot be reached.
    """
    if model is None:
        default = shipped_models().get(DEFAULT_MODEL)
        if default is None:
            raise ModelNotFoundError(
                "no model ships with this installation: name one (a folder or a hub id); "
                "'edge-embed convert SOURCE -o DIR' makes a folder"
            )
        return default
    path = Path(model)
    if path.is_dir():
        return path
    name = str(model)
    if path.exists():
        raise ModelNotFoundError(f"{name} is a file; a model is a folder")
    shipped = _shipped_folders()
    if _REPLACED.get(name) in shipped:
        warnings.warn(
            f"{name} was replaced by {_REPLACED[name]}, which is taken: its vectors are others, so "
            "make those that are stored anew",
            stacklevel=2,
        )
        return shipped[_REPLACED[name]]
    if name in shipped:
        return shipped[name]
    if name in _IN_REPOSITORY:
        raise ModelNotFoundError(
            f"{name} is in the project's repository, not in the installed package: clone it, and "
            f"give the folder models/{name}"
        )
    if name.count("/") != 1 or name.startswith((".", "/", "~")) or name.endswith("/"):
        known = f", a shipped model ({', '.join(shipped)})" if shipped else ""
        raise ModelNotFoundError(
            f"no model {name!r}: it is neither a folder{known} nor a hub id such as "
            "'sentence-transformers/all-MiniLM-L6-v2'"
        )
    return _from_hub(name, revision)


def _from_hub(repository: str, revision: str | None) -> Path:
    # Imported here: most runs do not need it, and it is the slowest import of all.
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    def download(*, local_files_only: bool) -> Path:
        def fetch(patterns: list[str]) -> Path:
            return Path(
                snapshot_download(
                    repository,
                    revision=revision,
                    allow_patterns=patterns,
                    local_files_only=local_files_only,
                )
            )

        folder = fetch(_HUB_FILES)
        layers = _layer_files(folder)  # known once modules.json has been fetched
        return fetch([*_HUB_FILES, *layers]) if layers else folder

    try:
        folder = download(local_files_only=True)
        if _is_whole(folder):
            return folder
    except (LocalEntryNotFoundError, HFValidationError):
        pass
    try:
        return download(local_files_only=False)
    except HFValidationError:
        raise ModelNotFoundError(f"{repository!r} is neither a folder nor a hub id") from None
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        at = f" at revision {revision!r}" if revision else ""
        raise ModelNotFoundError(
            f"the hub has no public repository {repository!r}{at}: check the name, or log in with "
            "'hf auth login' if it is private"
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise ModelNotFoundError(
            f"no folder {repository!r} here, and the hub cannot be reached for it: convert it on a "
            f"machine with network ('edge-embed convert {repository} -o DIR') and copy the folder"
        ) from error
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        # As huggingface_hub ends where a mirror does not answer as the hub does.
        raise ModelNotFoundError(
            f"no folder {repository!r} here, and {constants.ENDPOINT} does not answer as a hub: "
            "check HF_ENDPOINT"
        ) from error


def _layer_files(folder: Path) -> list[str]:
    """Return the weights of the layers after pooling that a repository's modules.json names."""
    try:
        listed = load_json(folder / "modules.json")
    except ModelFormatError:  # raised again when the model is loaded
        return []
    modules = listed if isinstance(listed, list) else []
    return [
        f"{module['path']}/model.safetensors"
        for module in modules
        if isinstance(module, dict)
        and str(module.get("type")).endswith((".Dense", ".LayerNorm"))
        and isinstance(module.get("path"), str)
    ]


def _is_whole(folder: Path) -> bool:
    """Return whether a cached copy has all files of a model; a download may have been aborted."""
    graphs = [file for file in folder.glob("openvino/*.xml") if file.with_suffix(".bin").is_file()]
    needed = ["modules.json", "config.json", "tokenizer.json", *_layer_files(folder)]
    return bool(graphs) and all((folder / name).is_file() for name in needed)
