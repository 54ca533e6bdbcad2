"""Load a checkpoint with transformers; what is wrong with it becomes an error of one line."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_embed.errors import ModelFormatError
from edge_embed.model.json_files import read_json
from edge_embed_conversion.architectures import ENCODER_CLASSES
from edge_embed_conversion.console import quiet_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["load_checkpoint"]


def load_checkpoint(folder: Path, *, trust_remote_code: bool = False) -> "PreTrainedModel":
    """Load the encoder of ``folder`` as a float32 torch module in evaluation mode.

    Args:
        folder: where config.json and the weights are.
        trust_remote_code: run the code that comes with the model, where it names some.

    Raises:
        ModelFormatError: the weights are damaged or incomplete, the architecture is unknown, or
            the model wants to run code of its own.
    """
    import torch
    import transformers

    config = read_json(folder / "config.json")
    own_code = "AutoModel" in (config.get("auto_map") or {})
    known = config.get("model_type") in transformers.models.auto.configuration_auto.CONFIG_MAPPING
    if own_code and not known and not trust_remote_code:
        raise ModelFormatError(_wants_code(folder))
    kind = ENCODER_CLASSES.get(str(config.get("model_type")), "AutoModel")
    options: dict[str, Any] = (
        {"trust_remote_code": trust_remote_code} if kind == "AutoModel" else {}
    )
    try:
        with quiet_transformers():
            model, report = getattr(transformers, kind).from_pretrained(
                folder,
                local_files_only=not trust_remote_code,
                dtype=torch.float32,
                output_loading_info=True,
                **options,
            )
    except Exception as error:
        raise ModelFormatError(
            f"cannot load the checkpoint in {folder}: {_first_line(error)}"
        ) from error
    # A sentence model never uses the pooler, so a checkpoint may come without it. Any other
    # missing weight would be filled with random numbers.
    missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))
    if missing and own_code and not trust_remote_code:
        raise ModelFormatError(_wants_code(folder))
    if missing:
        raise ModelFormatError(
            f"the checkpoint in {folder} lacks {len(missing)} weights, such as {missing[0]}"
        )
    encoder: PreTrainedModel = model.eval()
    return encoder


def _wants_code(folder: Path) -> str:
    return (
        f"{folder} wants to run code that comes with the model (auto_map in its config.json), "
        "which is never done unasked: read the code, then give --trust-remote-code"
    )


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
