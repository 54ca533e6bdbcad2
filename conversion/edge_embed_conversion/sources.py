"""Where a model comes from: resolve the user's SOURCE to a folder and the weights in it.

    SOURCE ─┬─ a folder
            ├─ an installed package that carries a model folder
            └─ a repository on the hub
                    └─> Source(folder, weights, revision, licence)

:mod:`edge_embed_conversion.weights` chooses which weights are used. No code of a package or a
repository is executed here.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from edge_embed.errors import InputError, ModelFormatError, ModelNotFoundError
from edge_embed.model.json_files import read_json
from edge_embed.model.kinds import is_pair_model, refuse_other_kinds
from edge_embed.model.modules import check_modules, table_modules
from edge_embed_conversion.hub import download
from edge_embed_conversion.routes import lay_out_route, route_names
from edge_embed_conversion.weights import (
    CHECKPOINT_FILES,
    IR_FILES,
    ONNX_FILES,
    Weights,
    WeightsKind,
    choose_weights,
    refuse_without_weights,
    wanted_files,
)

__all__ = [
    "Source",
    "SourceKind",
    "card_of",
    "refuse_other_models",
    "resolve_source",
]


class SourceKind(str, Enum):
    """What the user's SOURCE turned out to be."""

    FOLDER = "folder"
    PACKAGE = "package"
    HUB = "hub"


@dataclass(frozen=True)
class Source:
    """A model on this machine, ready to be converted.

    Attributes:
        name: what the user wrote.
        kind: a folder, a package or a hub repository.
        folder: where its files are.
        weights: the weights that will be used.
        revision: the hub's commit or the package's version; None for a folder.
        licence: from the model card's front matter, as written there.
        languages: from the model card's front matter.
        checkpoint: a checkpoint in the same folder as the chosen OpenVINO graph, whose weights may
            be newer than the graph's; None where there is none.
        trust_remote_code: whether code that comes with the model may run.
        route: which path of a model with a Router this is.
    """

    name: str
    kind: SourceKind
    folder: Path
    weights: Weights
    revision: str | None = None
    licence: str | None = None
    languages: tuple[str, ...] = ()
    checkpoint: str | None = None
    trust_remote_code: bool = False
    route: str | None = None

    @property
    def weights_path(self) -> Path:
        """The file of the chosen weights."""
        return self.folder / self.weights.file


def resolve_source(
    name: str,
    *,
    revision: str | None = None,
    re_export: bool = False,
    trust_remote_code: bool = False,
    route: str | None = None,
    staging: Path | None = None,
) -> Source:
    """Find the model that ``name`` means: a folder, else an installed package, else the hub.

    Args:
        name: a folder's path, a distribution's name or a hub id.
        revision: a branch, tag or commit of the hub repository.
        re_export: ignore an OpenVINO graph, so that the checkpoint or ONNX file is exported again.
        trust_remote_code: let code that comes with the model run, when it is loaded.
        route: which path of a model with a Router is meant, such as ``query``.
        staging: an empty folder in which that path is laid out as a model.

    Raises:
        ModelNotFoundError: there is no such model, or the hub cannot be reached.
        ModelFormatError: the model is there but is no encoder, or holds no weights that can be
            converted.
        InputError: a revision was given for a source that has none, or the model has no such route.
    """

    def inspect(folder: Path) -> None:
        if route is None:
            refuse_other_models(folder)

    kind, folder, found_revision = _locate(
        name, revision=revision, re_export=re_export, inspect=inspect
    )
    if route is not None and staging is not None:
        place = staging / folder.resolve().name
        lay_out_route(folder, route, place)
        folder = place
        refuse_other_models(folder)
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    transformer = transformer_place(folder)
    weights = choose_weights(files, re_export=re_export, transformer=transformer)
    if weights is None:
        refuse_without_weights(name, files, re_export=re_export)
    _refuse_pointer(folder / weights.file)
    licence, languages = card_of(folder)
    beside = choose_weights(files, re_export=True, transformer=transformer)
    adopted = weights.kind is WeightsKind.OPENVINO
    checkpoint = adopted and beside is not None and beside.kind is WeightsKind.CHECKPOINT
    return Source(
        name=name,
        kind=kind,
        folder=folder,
        weights=weights,
        revision=found_revision,
        licence=licence,
        languages=languages,
        checkpoint=beside.file if beside is not None and checkpoint else None,
        trust_remote_code=trust_remote_code,
        route=route,
    )


def _locate(
    name: str, *, revision: str | None, re_export: bool, inspect: Callable[[Path], None]
) -> tuple[SourceKind, Path, str | None]:
    """Return kind, folder and revision of ``name``, once ``inspect`` has accepted the folder."""
    try:
        folder = Path(name).expanduser()
    except RuntimeError:  # there is no such user, or no home
        raise ModelNotFoundError(f"there is no folder {name}: write its path in full") from None
    found_revision: str | None = None
    if folder.is_dir():
        kind = SourceKind.FOLDER
    elif folder.is_file():
        raise InputError(f"{name} is a file; give the folder that holds the model")
    elif (package := _find_package(name)) is not None:
        kind, (folder, found_revision) = SourceKind.PACKAGE, package
    elif _is_path(name):
        raise ModelNotFoundError(f"there is no folder {name}")
    else:
        kind = SourceKind.HUB
        folder, found_revision = download(
            name,
            revision=revision,
            select=lambda files, known: wanted_files(
                files, re_export=re_export, transformer=transformer_place(known)
            ),
            inspect=inspect,
        )
    if revision is not None and kind is not SourceKind.HUB:
        raise InputError(f"--revision is for hub repositories; {name} is a {kind.value}")
    if kind is not SourceKind.HUB:
        inspect(folder)
    return kind, folder, found_revision


def refuse_other_models(folder: Path) -> None:
    """Refuse kinds of models that cannot be converted, before weights are downloaded or loaded.

    Raises:
        ModelFormatError: it is neither an encoder nor a cross-encoder, has a Router whose path was
            not chosen, is a table of token vectors, or names a module that is not supported.
    """
    refuse_other_kinds(folder)
    if (folder / "modules.json").is_file() and not is_pair_model(folder):
        if names := route_names(folder):
            raise ModelFormatError(
                f"{folder} has a path for each of {', '.join(names)} (Router): convert each into a "
                f"folder of its own, with --route {'|'.join(names)}"
            )
        if table_modules(folder, anywhere=True) is not None:
            raise ModelFormatError(
                f"{folder} is a table of token vectors (StaticEmbedding): download it into a "
                "folder, and convert that"
            )


def transformer_place(folder: Path) -> str | None:
    """Return the transformer's place below ``folder``, as modules.json states it, or None."""
    try:
        modules = check_modules(folder)
    except ModelFormatError:  # raised again, with its message, when the folder is read
        return None
    places = [place for kind, place in modules if kind == "Transformer"]
    return places[0].relative_to(folder).as_posix() if places else None


def _refuse_pointer(path: Path) -> None:
    """Raise if the weights are a Git LFS pointer: a clone made without git-lfs."""
    with path.open("rb") as file:
        if file.read(24) == b"version https://git-lfs.":
            raise ModelFormatError(
                f"{path} is a Git LFS pointer, not the weights: run 'git lfs pull' in its folder"
            )


def _is_path(name: str) -> bool:
    return (
        name.startswith((".", "/", "~")) or name.count("/") > 1 or not re.match(r"[\w./-]+$", name)
    )


def _find_package(name: str) -> tuple[Path, str] | None:
    """Find the model folder that an installed distribution carries, and its version."""
    if not re.match(r"[A-Za-z0-9][\w.-]*$", name):
        return None
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    files = [PurePosixPath(str(file)) for file in distribution.files or []]
    folders = {file.parent for file in files if file.name == "modules.json"}
    if not folders:
        with_config = {file.parent for file in files if file.name == "config.json"}
        weights = {f for f in files if f.name in {*CHECKPOINT_FILES, *IR_FILES, *ONNX_FILES}}
        folders = with_config & {file.parent for file in weights}
    if not folders:
        raise ModelFormatError(
            f"the package {name} is installed but carries no model folder with modules.json"
        )
    if len(folders) > 1:
        listed = ", ".join(sorted(str(distribution.locate_file(str(f))) for f in folders))
        raise ModelFormatError(f"the package {name} carries several models; name one of: {listed}")
    return Path(str(distribution.locate_file(str(folders.pop())))), distribution.version


def card_of(folder: Path) -> tuple[str | None, tuple[str, ...]]:
    """Read licence and languages from the model card, else from a receipt of an earlier run."""
    front = _front_matter(folder / "README.md")
    if not front:
        front = read_json(folder / "edge_embed.json", optional=True)
        front = {"license": front.get("licence"), "language": front.get("languages")}
    licence, languages = front.get("license"), front.get("language")
    if isinstance(licence, list):
        licence = ", ".join(map(str, licence)) or None
    if isinstance(languages, str):
        languages = [languages]
    names = map(str, languages) if isinstance(languages, list) else ()
    return (str(licence) if licence else None), tuple(names)


def _front_matter(readme: Path) -> dict[str, Any]:
    """Return the YAML mapping at the top of a model card; empty where there is none."""
    from huggingface_hub import metadata_load

    try:
        return metadata_load(readme) or {}
    except Exception:  # noqa: BLE001 - a missing or broken card does not prevent a conversion
        return {}
