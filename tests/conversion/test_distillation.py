"""``edge-embed distill``: a tiny teacher, 2,000 generated sentences, a tinier student."""

import csv
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from safetensors.numpy import load_file
from transformers import AutoTokenizer

from edge_embed import Embedder
from edge_embed.errors import InputError
from edge_embed_conversion.distillation import Recipe, StudentShape, distill
from edge_embed_conversion.distillation.distill import CHECKPOINT_FOLDER

SHAPE = StudentShape(
    hidden_size=64, embedding_size=32, layers=2, heads=2, ffn_size=128, vocab_size=600
)
STEPS = 160


def sentences(count: int, *, seed: int) -> list[str]:
    """Return different sentences of a small grammar."""
    generator = random.Random(seed)
    who = [
        "a man",
        "a woman",
        "the child",
        "two dogs",
        "my neighbour",
        "the engineer",
        "an old teacher",
    ]
    does = ["plays", "carries", "repairs", "forgets", "paints", "sells", "looks for", "talks about"]
    what = [
        "a guitar",
        "the red car",
        "an umbrella",
        "some bread",
        "his bicycle",
        "the letter",
        "a map",
    ]
    where = ["in the park", "at home", "near the river", "on a train", "in the rain", "at work"]
    when = ["today", "every morning", "last week", "after lunch", "in winter", "again", "too late"]
    found: dict[str, None] = {}
    while len(found) < count:
        number = generator.randrange(10, 99)
        parts = [generator.choice(words) for words in (who, does, what, where, when)]
        found[f"{' '.join(parts)}, {number} times."] = None
    return list(found)


@pytest.fixture(scope="module")
def corpus_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("corpus") / "sentences.txt"
    file.write_text("\n".join(sentences(2000, seed=0)) + "\n", encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def dev_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up scores: the development set only has to be measured, here."""
    lines = sentences(60, seed=5)
    pairs = zip(lines[::2], lines[1::2], strict=True)
    rows = [f"{i % 5}\t{first}\t{second}" for i, (first, second) in enumerate(pairs)]
    file = tmp_path_factory.mktemp("dev") / "dev.tsv"
    file.write_text("\n".join(["score\tsentence1\tsentence2", *rows]) + "\n", encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def student(
    tmp_path_factory: pytest.TempPathFactory,
    tiny_bert_source: Path,
    corpus_file: Path,
    dev_file: Path,
) -> Path:
    folder = tmp_path_factory.mktemp("students") / "tiny"
    distill(
        str(tiny_bert_source),
        [corpus_file],
        folder,
        recipe=Recipe(steps=STEPS, learning_rate=2e-3),
        shape=SHAPE,
        development=dev_file,
    )
    return folder


def agreement(vectors: npt.NDArray[np.float32], teacher: npt.NDArray[np.float32]) -> float:
    """Correlate the pairwise cosines of two embeddings of the same texts."""
    above = np.triu_indices(len(vectors), k=1)
    cosines = []
    for own in (vectors, teacher):
        unit = own / np.linalg.norm(own, axis=1, keepdims=True)
        cosines.append((unit @ unit.T)[above])
    return float(np.corrcoef(*cosines)[0, 1])


@pytest.mark.real
def test_student_beats_its_untrained_start(
    tmp_path: Path, minilm: Path, minilm_source: Path, corpus_file: Path
) -> None:
    # A teacher with random weights finds all texts alike; this one tells them apart.
    unseen = sentences(100, seed=77)
    teacher = Embedder(minilm, variant="fp32").encode(unseen)
    agreements = []
    for name, recipe in (
        ("untrained", Recipe(steps=1, learning_rate=0.0)),
        ("trained", Recipe(steps=STEPS, learning_rate=2e-3)),
    ):
        distill(str(minilm_source), [corpus_file], tmp_path / name, recipe=recipe, shape=SHAPE)
        vectors = Embedder(tmp_path / name, variant="int8").encode(unseen)
        agreements.append(agreement(vectors, teacher))
    before, after = agreements
    assert after > before + 0.2


def test_folder_has_all_parts(student: Path) -> None:
    for name in ("edge_embed.json", "training.csv", f"{CHECKPOINT_FOLDER}/model.safetensors"):
        assert (student / name).is_file(), name
    rows = list(csv.DictReader((student / "training.csv").read_text("utf-8").splitlines()))
    assert int(rows[-1]["step"]) == STEPS
    assert rows[-1]["sts"]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


def test_curve_is_drawn(student: Path) -> None:
    pytest.importorskip("matplotlib", reason="the curve needs the extra plot")
    assert (student / "training.png").read_bytes().startswith(b"\x89PNG")


def test_tokenizer_is_the_same_in_transformers(student: Path) -> None:
    texts = [
        "A man's playing ``jazz'', isn't he?",
        "naïve café — 12,000 €",
        "ﬁne Ｆｕｌｌ width",
        "a\u200bb\ttab",
        '!"#$%&()*+,-./:;<=>@[]^_`{|}~',
        "",
    ]
    theirs = AutoTokenizer.from_pretrained(student / CHECKPOINT_FOLDER)
    own = Embedder(student).tokenizer(texts).ids
    for text, ids in zip(texts, own, strict=True):
        expected = theirs(text)["input_ids"]
        assert list(ids) == expected, text
        assert theirs.unk_token_id not in expected, text
    assert theirs.pad_token_id == 0


def test_same_seed_gives_the_same_weights_after_a_kill(
    tmp_path: Path, student: Path, tiny_bert_source: Path, corpus_file: Path, dev_file: Path
) -> None:
    work = tmp_path / "work"
    # Results depend on how many threads torch may use, and the fixtures set that to one.
    code = (
        "import torch\n"
        "torch.set_num_threads(1)\n"
        "from edge_embed_conversion.distillation import Recipe, StudentShape, distill\n"
        f"distill({str(tiny_bert_source)!r}, [{str(corpus_file)!r}], {str(tmp_path / 'out')!r},\n"
        f"    recipe=Recipe(steps={STEPS}, learning_rate=2e-3), shape={SHAPE!r},\n"
        f"    development={str(dev_file)!r}, work_dir={str(work)!r})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while not (work / "checkpoint.pt").is_file():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    distill(
        str(tiny_bert_source),
        [corpus_file],
        tmp_path / "out",
        recipe=Recipe(steps=STEPS, learning_rate=2e-3),
        shape=SHAPE,
        development=dev_file,
        work_dir=work,
    )
    file = f"{CHECKPOINT_FOLDER}/model.safetensors"
    unbroken = load_file(student / file)
    resumed = load_file(tmp_path / "out" / file)
    assert unbroken.keys() == resumed.keys()
    for name, tensor in unbroken.items():
        np.testing.assert_array_equal(tensor, resumed[name], err_msg=name)


def test_another_run_in_the_work_folder_is_refused(
    tmp_path: Path, tiny_bert_source: Path, corpus_file: Path, student: Path
) -> None:
    work = student.with_name(student.name + ".work")
    with pytest.raises(InputError, match="holds another run: its seed is 1, not 2"):
        distill(
            str(tiny_bert_source),
            [corpus_file],
            tmp_path / "out",
            recipe=Recipe(steps=STEPS, seed=2),
            shape=SHAPE,
            work_dir=work,
        )


def test_too_small_a_corpus_is_refused(tmp_path: Path, tiny_bert_source: Path) -> None:
    file = tmp_path / "few.txt"
    file.write_text("one\ntwo\none\n", encoding="utf-8")
    with pytest.raises(InputError, match="2 different texts"):
        distill(
            str(tiny_bert_source), [file], tmp_path / "out", recipe=Recipe(steps=1), shape=SHAPE
        )


def test_heads_that_do_not_divide_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="5 heads do not divide"):
        distill("x", ["y.txt"], tmp_path / "o", recipe=Recipe(steps=1), shape=StudentShape(heads=5))
