"""Load a checkpoint with transformers, and say in one line what is wrong with it."""

from pathlib import Path
from typing import TYPE_CHECKING

from edge_embed.errors import ModelFormatError
from edge_embed_conversion.console import quiet_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["load_checkpoint"]


def load_checkpoint(folder: Path) -> "PreTrainedModel":
    """Load the encoder of ``folder`` as a float32 torch module in evaluation mode.

    No code of the folder is run.

    Raises:
        ModelFormatError: the weights are damaged or incomplete, or the architecture is unknown.
    """
    import torch
    import transformers

    try:
        with quiet_transformers():
            model, report = transformers.AutoModel.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                dtype=torch.float32,
                output_loading_info=True,
            )
    except Exception as error:
        raise ModelFormatError(
            f"cannot load the checkpoint in {folder}: {_first_line(error)}"
        ) from error
    # A sentence model never uses the pooler, so a checkpoint may come without it. Any other
    # missing weight would be filled with random numbers.
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise ModelFormatError(
            f"the checkpoint in {folder} lacks {len(missing)} weights, such as {missing[0]}"
        )
    encoder: PreTrainedModel = model.eval()
    return encoder


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
