"""Give the default embedders of GPTCache and Milvus an ALBERT, where they look for their own.

    python -m benchmarks.peers.prepare_defaults SOURCE DIR [--length 512]

SOURCE is the checkpoint of an ALBERT in the layout of sentence-transformers. DIR gets
``checkpoint``, the same with positions for LENGTH tokens; ``model``, what ``edge-embed convert``
makes of that; and ``hub``, a cache of the model hub, in which both classes find the same weights as
an ONNX file, under the names that they ask for. Run it where the extra ``convert`` and the package
``onnx`` are.

A SOURCE with fewer positions has them repeated: they are read for padding alone, which is masked.
"""

import argparse
import json
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_embed_conversion.checkpoint import load_checkpoint
from edge_embed_conversion.convert import convert

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

INPUTS = ["input_ids", "attention_mask", "token_type_ids"]
TOKENIZER_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--length", type=int, default=512, help="Tokens that texts are padded to.")
    options = parser.parse_args()
    checkpoint = options.output / "checkpoint"
    _with_positions(options.source, checkpoint, options.length)
    convert(checkpoint, options.output / "model", force=True)
    hub = options.output / "hub" / "hub"
    _export(load_checkpoint(checkpoint), _repository(hub, "paraphrase-albert-onnx"))
    tokenizer = _repository(hub, "paraphrase-albert-small-v2")
    for name in TOKENIZER_FILES:
        shutil.copyfile(checkpoint / name, tokenizer / name)


def _with_positions(source: Path, target: Path, length: int) -> None:
    """Copy a checkpoint with at least ``length`` positions, to which its tokenizer pads."""
    model = load_checkpoint(source)
    embeddings: Any = model.embeddings
    table = embeddings.position_embeddings
    if len(table.weight) < length:
        repeats = -(-length // len(table.weight))
        table.weight.data = table.weight.data.repeat(repeats, 1)[:length]
        model.config.max_position_embeddings = length
    left_out = shutil.ignore_patterns("openvino", "onnx", "*.safetensors", "edge_embed.json")
    shutil.copytree(source, target, ignore=left_out, dirs_exist_ok=True)
    model.save_pretrained(target)
    settings = target / "tokenizer_config.json"
    stated = json.loads(settings.read_text(encoding="utf-8"))
    settings.write_text(json.dumps({**stated, "model_max_length": length}), encoding="utf-8")


def _repository(hub: Path, name: str) -> Path:
    """Make an empty repository of GPTCache's in a cache of the hub; return its files' folder."""
    folder = hub / f"models--GPTCache--{name}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    revision = "0" * 40
    (folder / "refs/main").write_text(revision, encoding="utf-8")
    snapshot = folder / "snapshots" / revision
    snapshot.mkdir(parents=True, exist_ok=True)
    return snapshot


def _export(model: "PreTrainedModel", target: Path) -> None:
    import torch

    # The mask as ALBERT adds it: transformers' own code for masks cannot be traced.
    class States(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = model

        def forward(
            self, ids: "torch.Tensor", mask: "torch.Tensor", types: "torch.Tensor"
        ) -> "torch.Tensor":
            hidden = (1 - mask[:, None, None, :].float()) * torch.finfo(torch.float32).min
            states: torch.Tensor = self.encoder(ids, hidden, types).last_hidden_state
            return states

    model.set_attn_implementation("eager")
    ids = torch.full((1, 16), 5)
    # A tensor of its own for each input: one that is shared would become one input.
    example = (ids, torch.ones_like(ids), torch.zeros_like(ids))
    axes = {name: {0: "batch", 1: "tokens"} for name in [*INPUTS, "last_hidden_state"]}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            States(),
            example,
            target / "model.onnx",
            input_names=INPUTS,
            output_names=["last_hidden_state"],
            dynamic_axes=axes,
            opset_version=17,
            dynamo=False,
        )


if __name__ == "__main__":
    main()
