"""Models with a path for queries and another for documents (Router, formerly Asym).

sentence-transformers keeps all paths (routes) in one folder and chooses among them at each call.
Here each path becomes a model folder of its own: its modules, in the order in which they run, and
the modules after the Router. The files are symbolic links to those of the source.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_embed.errors import InputError, ModelFormatError
from edge_embed.model.json_files import load_json, read_json
from edge_embed.model.paths import path_inside

__all__ = ["lay_out_route", "route_names"]

_ROUTERS = ("Router", "Asym")


def route_names(folder: Path) -> list[str]:
    """Return the names of a model's paths, such as ``query`` and ``document``; [] without a Router.

    Raises:
        ModelFormatError: a file is damaged.
    """
    if not (folder / "modules.json").is_file():
        return []
    names: dict[str, None] = {}
    for module in _modules(folder):
        if _is_router(module):
            names |= dict.fromkeys(_structure(folder, module)["structure"])
    return list(names)


def lay_out_route(folder: Path, route: str, target: Path) -> None:
    """Lay out one path of a model as an ordinary model, in ``target``, with links to its files.

    Args:
        folder: The model.
        route: The path's name.
        target: Where the model's layout goes; it does not exist.

    Raises:
        InputError: the model has no such path.
        ModelFormatError: a file is damaged.
    """
    known = route_names(folder)
    if route not in known:
        there = f"has the routes {', '.join(known)}" if known else "has no Router"
        raise InputError(f"--route names a path of a Router: {folder} {there}, not {route!r}")
    listed: list[dict[str, Any]] = []
    for module in _modules(folder):
        if not _is_router(module):
            listed.append({**module, "idx": len(listed), "name": str(len(listed))})
            continue
        router = _structure(folder, module)
        for name in router["structure"].get(route, []):
            if name not in router["types"]:
                raise ModelFormatError(f"{folder}: its Router names no type of the module {name!r}")
            path = "/".join(part for part in (module["path"], name) if part)
            path_inside(folder, path, folder / "modules.json")
            kind = router["types"][name]
            listed.append(
                {"idx": len(listed), "name": str(len(listed)), "path": path, "type": kind}
            )
    shutil.copytree(folder, target, copy_function=_link)
    (target / "modules.json").unlink()
    (target / "modules.json").write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")


def _modules(folder: Path) -> Sequence[dict[str, Any]]:
    file = folder / "modules.json"
    listed = load_json(file)
    if not isinstance(listed, list) or not all(
        isinstance(m, dict) and isinstance(m.get("path"), str) and isinstance(m.get("type"), str)
        for m in listed
    ):
        raise ModelFormatError(f"{file} should list modules with 'type' and 'path'")
    return listed


def _is_router(module: dict[str, Any]) -> bool:
    library, _, rest = module["type"].partition(".")
    return library == "sentence_transformers" and rest.rsplit(".", 1)[-1] in _ROUTERS


def _structure(folder: Path, module: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Read a Router's file: ``structure``, names of modules by path, and ``types`` by name."""
    place = path_inside(folder, module["path"], folder / "modules.json")
    file = place / "router_config.json"
    if not file.is_file():
        file = place / "config.json"  # the name in a folder of Asym
    config = read_json(file)
    structure, types = config.get("structure"), config.get("types")
    if not (isinstance(structure, dict) and isinstance(types, dict)) or not all(
        isinstance(names, list) for names in structure.values()
    ):
        raise ModelFormatError(f"{file} does not say the structure and types of a Router")
    return {"structure": structure, "types": types}


def _link(source: str, target: str) -> str:
    """Link a file, or copy it where links are not allowed."""
    try:
        Path(target).symlink_to(Path(source).resolve())
    except OSError:
        shutil.copyfile(source, target)
    return target
