"""Save the trained student as a folder for sentence-transformers, transformers and ``convert``."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from edge_embed_conversion.distillation.student import Student
from edge_embed_conversion.distillation.vocabulary import save_tokenizer

__all__ = ["save_student"]


def save_student(student: Student, tokenizer: Tokenizer, folder: Path, *, card: str) -> None:
    """Write weights (FP16), configuration, tokenizer and sentence-transformers' files.

    Positions beyond the token limit were never trained, so they are left out.

    Args:
        student: The trained student.
        tokenizer: Its tokenizer.
        folder: The folder to write.
        card: The text of the model card, README.md.
    """
    shape = student.shape
    config = {
        **shape.config().to_dict(),
        "architectures": ["AlbertModel"],
        "dtype": "float16",
        "max_position_embeddings": shape.max_length,
    }
    config = {name: value for name, value in config.items() if value is not None}
    modes = ("cls_token", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken")
    pooling: dict[str, Any] = {
        "word_embedding_dimension": shape.hidden_size,
        "pooling_mode_mean_tokens": True,
        **{f"pooling_mode_{mode}": False for mode in modes},
        "include_prompt": True,
    }
    kinds = (("", "Transformer"), ("1_Pooling", "Pooling"))
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for i, (path, kind) in enumerate(kinds)
    ]
    documents: dict[str, Any] = {
        "config.json": config,
        "modules.json": modules,
        "1_Pooling/config.json": pooling,
        "sentence_bert_config.json": {"max_seq_length": shape.max_length, "do_lower_case": False},
        "config_sentence_transformers.json": {
            "prompts": {},
            "default_prompt_name": None,
            "similarity_fn_name": "cosine",
        },
    }
    (folder / "1_Pooling").mkdir(parents=True, exist_ok=True)
    for name, document in documents.items():
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        (folder / name).write_text(text, encoding="utf-8")
    weights = {
        name: tensor.detach().to("cpu", torch.float16).contiguous()
        for name, tensor in student.albert.state_dict().items()
        if not name.endswith(("position_ids", "token_type_ids"))
    }
    positions = "embeddings.position_embeddings.weight"
    weights[positions] = weights[positions][: shape.max_length].contiguous()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    save_tokenizer(tokenizer, folder, max_length=shape.max_length)
    (folder / "README.md").write_text(card, encoding="utf-8")
