"""Where a model comes from: resolve what the user named to a folder and the weights in it.

    SOURCE ─┬─ a folder
            ├─ an installed package that carries a model folder
            └─ a repository on the hub
                    └─> Source(folder, weights, revision, licence)

Weights are, in this order: an OpenVINO graph (adopted as it is), a checkpoint (exported), an ONNX
file (converted). Nothing of a package or a repository is executed.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from edge_embed.errors import InputError, ModelFormatError, ModelNotFoundError
from edge_embed_conversion.hub import download

__all__ = [
    "Source",
    "SourceKind",
    "Weights",
    "WeightsKind",
    "choose_weights",
    "resolve_source",
    "wanted_files",
]

IR_FILES = ("openvino/openvino_model.xml", "openvino_model.xml")
INT8_FILES = (
    "openvino/openvino_model_qint8_quantized.xml",
    "openvino_model_qint8_quantized.xml",
)
CHECKPOINT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
ONNX_FILES = ("onnx/model.onnx", "model.onnx")


class SourceKind(str, Enum):
    """What the user's SOURCE turned out to be."""

    FOLDER = "folder"
    PACKAGE = "package"
    HUB = "hub"


class WeightsKind(str, Enum):
    """The form in which the source holds its weights."""

    OPENVINO = "openvino"
    CHECKPOINT = "checkpoint"
    ONNX = "onnx"


@dataclass(frozen=True)
class Weights:
    """The weights chosen from a source; paths are relative to its folder, with ``/``."""

    kind: WeightsKind
    file: str
    int8_file: str | None = None


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
        checkpoint: a checkpoint beside an OpenVINO graph, which may be newer than that.
        trust_remote_code: whether code that comes with the model may run.
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
) -> Source:
    """Find the model that ``name`` means: a folder, else an installed package, else the hub.

    Args:
        name: a folder's path, a distribution's name or a hub id.
        revision: a branch, tag or commit of the hub repository.
        re_export: pass over an OpenVINO graph, to export the checkpoint or ONNX file again.
        trust_remote_code: let code that comes with the model run, when it is loaded.

    Raises:
        ModelNotFoundError: there is no such model, or the hub cannot be reached.
        ModelFormatError: the model is there but holds no weights that can be converted.
        InputError: a revision was given for a source that has none.
    """
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
            name, revision=revision, select=lambda files: wanted_files(files, re_export=re_export)
        )
    if revision is not None and kind is not SourceKind.HUB:
        raise InputError(f"--revision is for hub repositories; {name} is a {kind.value}")
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    weights = choose_weights(files, re_export=re_export)
    if weights is None and "adapter_config.json" in files:
        raise ModelFormatError(
            f"{name} is an adapter of another model (adapter_config.json): merge the two first "
            "(merge_and_unload of the library peft), and convert what that saves"
        )
    if weights is None:
        asked = "checkpoint or ONNX file to export" if re_export else "weights"
        raise ModelFormatError(
            f"{name} holds no {asked}: expected {', '.join(_expected(re_export=re_export))}"
        )
    _refuse_pointer(folder / weights.file)
    licence, languages = _card(folder)
    beside = choose_weights(files, re_export=True)
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
    )


def choose_weights(files: Collection[str], *, re_export: bool = False) -> Weights | None:
    """Choose the weights to convert from a listing of relative paths, or None.

    A transformer in a subfolder (``0_Transformer/``, as old repositories have it) counts too.
    """
    names = set(files)
    prefixes = ["", *sorted({f"{PurePosixPath(f).parts[0]}/" for f in names if f[:2] == "0_"})]
    for kind, candidates in (
        (WeightsKind.OPENVINO, () if re_export else IR_FILES),
        (WeightsKind.CHECKPOINT, CHECKPOINT_FILES),
        (WeightsKind.ONNX, ONNX_FILES),
    ):
        for prefix in prefixes if kind is WeightsKind.CHECKPOINT else [""]:
            for file in (prefix + name for name in candidates):
                if file in names:
                    int8 = next((f for f in INT8_FILES if f in names), None)
                    return Weights(kind, file, int8 if kind is WeightsKind.OPENVINO else None)
    return None


def _refuse_pointer(path: Path) -> None:
    """Raise if a clone holds, in the place of the weights, the note that they are elsewhere."""
    with path.open("rb") as file:
        if file.read(24) == b"version https://git-lfs.":
            raise ModelFormatError(
                f"{path} is a Git LFS pointer, not the weights: run 'git lfs pull' in its folder"
            )


def _expected(*, re_export: bool) -> tuple[str, ...]:
    shared = (CHECKPOINT_FILES[0], CHECKPOINT_FILES[2], ONNX_FILES[0])
    return shared if re_export else (IR_FILES[0], *shared)


def wanted_files(files: Collection[str], *, re_export: bool) -> list[str]:
    """Name the files of a hub repository that a conversion reads, and no others."""
    weights = choose_weights(files, re_export=re_export)
    wanted = [
        file
        for file in files
        if PurePosixPath(file).suffix in {".json", ".txt", ".model"}
        and len(PurePosixPath(file).parts) <= 2
        and not file.startswith(("onnx/", "openvino/"))
    ]
    wanted += [f for f in files if re.match(r"(README\.md|LICEN[CS]E.*|NOTICE.*)$", f)]
    for file in files:
        if re.match(r"\d+_(?!Transformer)\w+/(model\.safetensors|pytorch_model\.bin)$", file):
            newer = file.replace("pytorch_model.bin", "model.safetensors")
            wanted.append(newer if newer in files else file)
    if weights is None:
        return wanted
    chosen = {weights.file, *([weights.int8_file] if weights.int8_file else [])}
    for file in sorted(chosen):
        stem = PurePosixPath(file)
        if weights.kind is WeightsKind.OPENVINO:
            wanted += [file, str(stem.with_suffix(".bin"))]
        elif file.endswith(".index.json"):
            shards = re.compile(re.escape(file.split(".")[0]) + r"-\d+-of-\d+\.")
            wanted += [file, *(f for f in files if shards.match(f))]
        else:
            # An ONNX file above 2 GB keeps its data beside it.
            wanted += [file, *(f for f in files if f in (f"{file}_data", f"{file}.data"))]
    return sorted(set(wanted) & set(files))


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
        configured = {file.parent for file in files if file.name == "config.json"}
        weights = {f for f in files if f.name in {*CHECKPOINT_FILES, *IR_FILES, *ONNX_FILES}}
        folders = configured & {file.parent for file in weights}
    if not folders:
        raise ModelFormatError(
            f"the package {name} is installed but carries no model folder with modules.json"
        )
    if len(folders) > 1:
        listed = ", ".join(sorted(str(distribution.locate_file(str(f))) for f in folders))
        raise ModelFormatError(f"the package {name} carries several models; name one of: {listed}")
    return Path(str(distribution.locate_file(str(folders.pop())))), distribution.version


def _card(folder: Path) -> tuple[str | None, tuple[str, ...]]:
    """Read licence and languages from the model card, else from a receipt of an earlier run."""
    front = _front_matter(folder / "README.md")
    if not front:
        try:
            front = json.loads((folder / "edge_embed.json").read_text(encoding="utf-8-sig"))
        except (OSError, ValueError):
            return None, ()
        front = front if isinstance(front, dict) else {}
        front = {"license": front.get("licence"), "language": front.get("languages")}
    licence, languages = front.get("license"), front.get("language")
    if isinstance(licence, list):
        licence = ", ".join(map(str, licence)) or None
    if isinstance(languages, str):
        languages = [languages]
    return (str(licence) if licence else None), tuple(str(name) for name in languages or ())


def _front_matter(readme: Path) -> dict[str, Any]:
    """Return the YAML mapping at the top of a model card; empty where there is none."""
    from huggingface_hub import metadata_load

    try:
        return metadata_load(readme) or {}
    except Exception:  # noqa: BLE001 - none, or a broken one: no reason to stop
        return {}
