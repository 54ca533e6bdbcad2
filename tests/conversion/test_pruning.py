"""Pruning: what goes is what the vectors can do without."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from edge_embed_conversion.checkpoint import load_checkpoint
from edge_embed_conversion.distillation.encoder_student import EncoderStudent
from edge_embed_conversion.distillation.pruning import keep_layers, sample_of, shrink_inner


@pytest.fixture
def tokenizer(tiny_bert_source: Path) -> Tokenizer:
    loaded = Tokenizer.from_file(str(tiny_bert_source / "tokenizer.json"))
    loaded.no_padding()
    loaded.enable_truncation(24)
    return loaded


@pytest.fixture
def student() -> EncoderStudent:
    torch.manual_seed(0)
    made = EncoderStudent(layers=3, rank=8, hidden=16, ffn=24, heads=2, words=4000, limit=32)
    for parameter in made.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.5)
    return made


def vectors(
    student: EncoderStudent, sample: list[tuple[torch.Tensor, torch.Tensor]]
) -> torch.Tensor:
    last = len(student.layers)
    with torch.no_grad():
        return torch.cat([student(*batch, (last,), torch.float32)[last] for batch in sample])


def test_a_layer_that_does_nothing_goes(
    student: EncoderStudent, tokenizer: Tokenizer, corpus: list[str]
) -> None:
    sample = sample_of(corpus[:40], tokenizer)
    for name in ("layers.1.out.weight", "layers.1.fc2.weight", "layers.1.fc2.bias"):
        torch.nn.init.zeros_(student.get_parameter(name))
    torch.nn.init.zeros_(student.get_parameter("layers.1.out.bias"))
    before = vectors(student, sample)
    assert keep_layers(student, 2, sample) == [0, 2]
    assert torch.allclose(vectors(student, sample), before, atol=1e-4)


def test_neurons_that_others_can_stand_in_for_go(
    student: EncoderStudent, tokenizer: Tokenizer, corpus: list[str]
) -> None:
    sample = sample_of(corpus[:150], tokenizer)
    for number in range(3):  # half of the neurons are twins of the other half
        first = student.get_parameter(f"layers.{number}.fc1.weight")
        bias = student.get_parameter(f"layers.{number}.fc1.bias")
        with torch.no_grad():
            first[12:] = first[:12]
            bias[12:] = bias[:12]
    before = vectors(student, sample)
    shrink_inner(student, 12, sample)
    assert student.inner_size == 12
    assert (vectors(student, sample) * before).sum(1).min() > 0.999


def test_a_smaller_student_is_saved_with_its_sizes(tiny_bert_source: Path, tmp_path: Path) -> None:
    words = json.loads((tiny_bert_source / "config.json").read_text())["vocab_size"]
    made = EncoderStudent(layers=1, rank=8, hidden=32, ffn=10, heads=2, words=words, limit=32)
    made.save(tmp_path, source=tiny_bert_source, exits=[])
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["num_hidden_layers"], config["intermediate_size"]) == (1, 10)
    assert load_checkpoint(tmp_path).config.intermediate_size == 10
