"""A student that starts from a model's layers: exact at the start, better after training."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from edge_embed import Embedder
from edge_embed.errors import InputError, ModelFormatError
from edge_embed_conversion.checkpoint import load_checkpoint
from edge_embed_conversion.distillation import (
    InitialModel,
    RefinementRecipe,
    WeightedTeacher,
    distill_from,
)
from edge_embed_conversion.distillation.corpus import read_corpus
from edge_embed_conversion.distillation.encoder_student import EncoderStudent


@pytest.fixture(scope="module")
def corpus_file(corpus: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    file.write_text("\n".join(corpus[:150]) + "\n", encoding="utf-8")
    return file


def test_the_student_starts_as_the_model(tiny_bert_source: Path, corpus: list[str]) -> None:
    model = load_checkpoint(tiny_bert_source)
    tokenizer = Tokenizer.from_file(str(tiny_bert_source / "tokenizer.json"))
    tokenizer.no_padding()
    student = EncoderStudent.from_model(
        model, np.ones(tokenizer.get_vocab_size()), rank=31, layers=(0, 1), limit=32
    )
    ids = [tokenizer.encode(text).ids[:20] for text in corpus[:6]]
    width = max(map(len, ids))
    padded = torch.tensor([own + [0] * (width - len(own)) for own in ids])
    mask = torch.tensor([[True] * len(own) + [False] * (width - len(own)) for own in ids])
    with torch.inference_mode():
        vectors = student(padded, mask, (1, 2), torch.float32)
        states = model(
            input_ids=padded, attention_mask=mask.long(), output_hidden_states=True
        ).hidden_states
    for layers in (1, 2):
        sums = (states[layers] * mask[:, :, None]).sum(dim=1)
        truth = torch.nn.functional.normalize(sums, dim=-1)
        assert (vectors[layers] * truth).sum(dim=1).min() > 0.99


@pytest.fixture(scope="module")
def distilled(
    tiny_bert_source: Path, corpus_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    output = tmp_path_factory.mktemp("distilled") / "model"
    table = output.parent / "dev.tsv"
    table.write_text(
        "score\tsentence1\tsentence2\n5\ta red car\ta red car\n1\ta red car\tgood night\n"
        "3\tgood night\tsleep well\n",
        encoding="utf-8",
    )
    distill_from(
        InitialModel(source=str(tiny_bert_source), rank=16, exits=(1,), max_length=32),
        [WeightedTeacher(str(tiny_bert_source), 2.0), WeightedTeacher(str(tiny_bert_source), 1.0)],
        [corpus_file],
        output,
        recipe=RefinementRecipe(
            steps=6, batch_tokens=256, warmup_steps=2, measure_every=3, log_every=3, save_every=3
        ),
        development=[table],
    )
    return output


def test_the_folder_has_rank_exits_curve_and_checkpoint(distilled: Path) -> None:
    model = Embedder(distilled, cache=False)
    assert model.max_seq_length == 32
    assert list(model.config.exits) == [1]
    assert (distilled / "checkpoint" / "model.safetensors").is_file()
    assert (distilled / "training.csv").read_text(encoding="utf-8").count("\n") == 3
    assert (distilled.with_name("model.work") / "targets" / "00000.npy").is_file()
    vectors = model.encode(["good night", "a red car"], normalize=True)
    assert np.isfinite(vectors).all()


def test_the_work_folder_of_another_run_is_refused(
    distilled: Path, tiny_bert_source: Path, corpus_file: Path
) -> None:
    with pytest.raises(InputError, match="holds another run: its seed is 1, not 2"):
        distill_from(
            InitialModel(source=str(tiny_bert_source), rank=16, exits=(1,), max_length=32),
            [
                WeightedTeacher(str(tiny_bert_source), 2.0),
                WeightedTeacher(str(tiny_bert_source), 1.0),
            ],
            [corpus_file],
            distilled.parent / "other",
            recipe=RefinementRecipe(steps=6, seed=2),
            work_dir=distilled.with_name("model.work"),
        )
    assert not (distilled.parent / "other").exists()


def test_a_model_that_is_no_bert_is_refused(tiny_albert_source: Path) -> None:
    with pytest.raises(ModelFormatError, match="starts from a BERT with gelu, not from albert"):
        EncoderStudent.from_model(
            load_checkpoint(tiny_albert_source), np.ones(10), rank=4, layers=(0,), limit=16
        )


@pytest.mark.parametrize("text", ["model=0", "model=x", "model=-1", "model=nan"])
def test_a_weight_is_a_number_above_zero(text: str) -> None:
    with pytest.raises(InputError, match="weight of a teacher is a number above 0"):
        WeightedTeacher.parse(text)
    assert WeightedTeacher.parse("model=0.65") == WeightedTeacher("model", 0.65)
    assert WeightedTeacher.parse("model") == WeightedTeacher("model", 1.0)


def test_paragraphs_are_lines_that_follow_each_other_and_noise_changes_texts(
    corpus_file: Path,
) -> None:
    lines = corpus_file.read_text(encoding="utf-8").splitlines()
    plain = read_corpus([corpus_file], seed=3)
    more = read_corpus([corpus_file], seed=3, paragraphs=0.2, noise=0.2)
    added = set(more) - set(plain) - set(lines)
    assert len(more) > len(plain)
    collapsed = [" ".join(line.split()) for line in lines]
    assert any(f"{one} {two}" in text for text in added for one, two in pairwise(collapsed))
