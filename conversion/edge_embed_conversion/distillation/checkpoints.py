"""The state of a training run on disk, so that an interrupted run can be resumed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edge_embed.errors import InputError, ModelFormatError
from edge_embed.files.atomic import atomic_file
from edge_embed.model.json_files import read_json

__all__ = ["Progress", "claim", "load_checkpoint", "save_checkpoint"]

_FILE = "checkpoint.pt"


@dataclass
class Progress:
    """How far a run is: optimizer steps, tokens trained on, and seconds of computing."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0


def claim(folder: Path, identity: dict[str, Any]) -> None:
    """Write the ``identity`` of a run into ``folder``, or check that the folder is of the same run.

    Raises:
        InputError: the folder belongs to a run with another corpus, teacher or recipe.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "run.json"
    if file.is_file():
        stored = read_json(file)
        for name, value in identity.items():
            if stored.get(name) != value:
                raise InputError(
                    f"{folder} holds another run: its {name} is {stored.get(name)}, not {value}; "
                    "give another --work-dir, or the options it was started with"
                )
        return
    with atomic_file(file) as path:
        path.write_text(json.dumps(identity, indent=2) + "\n", encoding="utf-8")


def save_checkpoint(
    folder: Path, *, progress: Progress, student: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Write the state of the run; the old checkpoint is replaced atomically."""
    state = {
        "step": progress.step,
        "tokens": progress.tokens,
        "seconds": progress.seconds,
        "student": student.state_dict(),
        "optimizer": optimizer.state_dict(),
    }
    with atomic_file(folder / _FILE) as path:
        torch.save(state, path)


def load_checkpoint(
    folder: Path, *, student: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> Progress:
    """Load the checkpoint, if there is one, into student and optimizer; return the progress.

    Raises:
        ModelFormatError: the file is damaged.
    """
    file = folder / _FILE
    if not file.is_file():
        return Progress()
    peaks = [group.get("peak") for group in optimizer.param_groups]
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
        student.load_state_dict(state["student"])
        optimizer.load_state_dict(state["optimizer"])
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            group.setdefault("peak", peak)  # missing in checkpoints of earlier versions
    except Exception as error:
        raise ModelFormatError(f"{file} is damaged; remove it to start the run anew") from error
    return Progress(state["step"], state["tokens"], state["seconds"])
