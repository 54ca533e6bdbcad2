"""Pairs by rule, and the training of a model that reads pairs."""

import gzip
import importlib
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_embed.errors import InputError
from edge_embed_conversion.pairs.definitions import definition_pairs
from edge_embed_conversion.pairs.edits import (
    Edit,
    affirm,
    contract,
    front,
    joined,
    negate,
    renamer,
    renumber,
    spell_number,
    swap_equals,
    swap_roles,
    words_of,
)
from edge_embed_conversion.pairs.everyday import everyday_pairs
from edge_embed_conversion.pairs.files import read_pairs
from edge_embed_conversion.pairs.minimal import minimal_pairs
from edge_embed_conversion.pairs.network import RankTable, load_network
from edge_embed_conversion.pairs.noise import (
    drop_article,
    join_words,
    mistype,
    near_synonym,
    noisy_minimal_pairs,
    reorder_list,
    repunctuate,
    swap_neighbours,
    with_noise,
)
from edge_embed_conversion.pairs.recipe import PairRecipe
from edge_embed_conversion.pairs.templates import template_pairs
from edge_embed_conversion.pairs.train import train_pairs
from edge_embed_conversion.pairs.webster import webster_definitions
from edge_embed_conversion.pairs.wordnet import WordNet

# Synsets as wndb(5WN) writes them: big/little and large, open/close, cat under animal with dog.
_DATA = {
    "adj": [
        "00000001 00 a 02 big 0 large 0 001 ! 00000002 a 0101 | of great size; more than usual",
        "00000002 00 a 01 little 0 001 ! 00000001 a 0101 | of small size",
    ],
    "verb": [
        "00000003 00 v 01 accept 0 001 ! 00000004 v 0101 00 | take",
        "00000004 00 v 01 reject 0 001 ! 00000003 v 0101 00 | not take",
    ],
    "noun": [
        "00000005 00 n 01 animal 0 000 | a living thing",
        '00000006 00 n 01 cat 0 001 @ 00000005 n 0000 | a feline kept as a pet; "her cat"',
        "00000007 00 n 01 dog 0 001 @ 00000005 n 0000 | a canine kept as a pet",
    ],
    "adv": [],
}
_KINDS = {"adj": "3", "verb": "2", "noun": "1", "adv": "4"}


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> WordNet:
    """Seven words in WordNet's own files."""
    folder = tmp_path_factory.mktemp("wordnet")
    counts = []
    for name, lines in _DATA.items():
        index: list[str] = []
        for line in lines:
            offset, _, pos, count, *rest = line.split()
            for word in rest[: 2 * int(count) : 2]:
                index.append(f"{word} {pos} 1 0 1 1 {offset}")
                counts.append(f"{word}%{_KINDS[name]}:00:00:: 1 9")
        (folder / f"data.{name}").write_text("\n".join(["  1 licence", *lines]) + "\n")
        (folder / f"index.{name}").write_text("".join(line + "\n" for line in index))
        (folder / f"{name}.exc").write_text("")
    (folder / "cntlist.rev").write_text("\n".join(counts) + "\n")
    return WordNet(folder)


def test_wordnet_knows_opposites_of_inflected_words(net: WordNet) -> None:
    assert net.analyse("accepted") == ("accept", "v", "ed")
    assert net.antonyms("accept", "v") == ["reject"]
    assert net.inflect("reject", "v", "ed") == "rejected"
    assert net.synonyms("big", "a") == ["large"]
    assert net.analyse("cats") == ("cat", "n", "s")
    assert net.sisters("cat") == ["dog"]
    assert net.analyse("unheard") is None
    with pytest.raises(InputError, match=r"data\.noun"):
        WordNet(Path("nowhere"))


@pytest.mark.parametrize(
    ("edit", "sentence", "expected"),
    [
        (affirm, "The door is not open.", {"The door is open."}),
        (contract, "I do not know.", {"I don't know."}),
        (front, "He won the cup again in 1990.", {"In 1990, he won the cup again."}),
        (spell_number, "It took 12 hours.", {"It took twelve hours."}),
        (swap_equals, "We met Ann and Bob.", {"We met Bob and Ann."}),
        (swap_roles, "Later that day Ann called Bob.", {"Later that day Bob called Ann."}),
        (swap_roles, "We met Ann and Bob.", {None}),
        (renumber, "No digit.", {None}),
    ],
)
def test_edits(edit: Callable[..., list[str] | None], sentence: str, expected: set[str | None],
               net: WordNet) -> None:  # fmt: skip
    made = edit(words_of(sentence), random.Random(1), net)
    edited = None if made is None else joined(made)
    if expected == {"In 1990, he won the cup again."} and edited == "In 1990 he won the cup again.":
        return  # the comma is a matter of taste
    assert edited in expected


@pytest.mark.parametrize("symbol", ["³", "½", "①"])
def test_a_numeral_that_is_no_decimal_number_is_left(symbol: str, net: WordNet) -> None:
    words = words_of(f"It holds 5 m {symbol} of gas, ABC.")
    for edit in (renumber, spell_number, swap_roles):
        made = edit(list(words), random.Random(1), net)
        assert made is None or symbol in made


@pytest.mark.parametrize(
    ("edit", "sentence", "expected"),
    [
        (drop_article, "He saw the cat.", "He saw cat."),
        (drop_article, "He saw cats.", None),
        (reorder_list, "Big cats, dogs and mice.", None),
        (near_synonym, "It is a large cat.", "It is a big cat."),
        (near_synonym, "It is a dog.", None),
        (swap_neighbours, "Later the cat", "Later cat the"),
        (swap_neighbours, "Cat dog", None),
        (swap_neighbours, "so Ann Bob", None),
        (swap_neighbours, "not cat", None),
    ],
)
def test_slips_of_words(edit: Edit, sentence: str, expected: str | None, net: WordNet) -> None:
    found = {
        None if made is None else joined(made)
        for seed in range(9)
        for made in [edit(words_of(sentence), random.Random(seed), net)]
    }
    assert expected in found
    if expected is None:
        assert found == {None}


def test_a_list_keeps_its_members(net: WordNet) -> None:
    made = reorder_list(words_of("We met Ann, Bob and Carl."), random.Random(1), net)
    assert made is not None
    assert joined(made) != "We met Ann, Bob and Carl."
    assert sorted(made) == sorted(words_of("We met Ann, Bob and Carl."))
    assert reorder_list(words_of("We met Ann, cats and Carl."), random.Random(1), net) is None


def test_typing_errors_leave_numbers_short_words_and_meanings(net: WordNet) -> None:
    rng = random.Random(4)
    sentence = "It is not 12 or 13.5 animals, a2024b: he may reject it"
    made = {mistype(sentence, rng, net) for _ in range(300)}
    assert len(made) > 40
    kept = {"It", "is", "not", "12", "or", "13.5", "a2024b:", "he", "may", "it"}
    for text in made:
        assert kept <= set(text.split())
        assert not {"animal", "rejects"} & set(words_of(text))
    for _ in range(50):
        marked = repunctuate("It costs $1,299.95, doesn't it (or -5)", rng, net)
        assert "1,299.95" in marked
        assert "-5" in marked
        assert "12 13" in join_words("about 12 13", rng, net)


def test_noise_says_nothing_about_the_label(net: WordNet, corpus: list[str]) -> None:
    made = list(noisy_minimal_pairs(corpus, net, seed=1))
    assert made == list(noisy_minimal_pairs(corpus, net, seed=1))
    assert len(made) > 50
    assert np.mean([label for _, _, label, _ in made]) == 0.5
    assert all(one != other for one, other, _, _ in made)
    rows = [(one, other, float(i % 2), "kind") for i, (one, other) in enumerate(pairwise(corpus))]
    found = with_noise(rows, net, share=0.5, seed=1)
    assert [row[2:] for row in found] == [row[2:] for row in rows]
    changed = [int(new != old) for new, old in zip(found, rows, strict=True)]
    assert 0.25 < np.mean(changed[::2]) < 0.6
    assert np.mean(changed[::2]) == pytest.approx(np.mean(changed[1::2]), abs=0.15)
    assert all(a[0] == b[0] or a[1] == b[1] for a, b in zip(found, rows, strict=True))


def test_a_name_becomes_another_name(net: WordNet) -> None:
    rename = renamer(["We met Ann.", "They saw Ann and Bob.", "She saw Bob and Carl."])
    made = rename(words_of("We met Ann."), random.Random(1), net)
    assert made is not None
    assert joined(made) == "We met Bob."
    assert rename(words_of("Later they came."), random.Random(1), net) is None
    assert renamer([])(words_of("Later Ann came."), random.Random(1), net) is None


_WEBSTER = r"""
Cat \Cat\ (k[a^]t), n. [AS. catt, a
   word [of] old.]
   A small beast that is {kept} for its soft fur; as, the wild cat.
   [1913 Webster]

Lynx \Lynx\, n.
   1. A beast of the woods and hills.
      [1913 Webster]

   2. A constellation of the north.
      [1913 Webster]

Modem \Mo"dem\, n.
   A device that joins two computers by telephone.
   [WordNet 1.5]
"""


def test_two_dictionaries_define_one_thing(net: WordNet, tmp_path: Path) -> None:
    file = tmp_path / "gcide.dict.dz"
    with pytest.raises(InputError, match="dict-gcide"):
        list(webster_definitions(file))
    file.write_bytes(gzip.compress(b"nothing"))
    with pytest.raises(InputError, match="no entries"):
        list(webster_definitions(file))
    file.write_bytes(gzip.compress(_WEBSTER.encode()))
    others = list(webster_definitions(file))
    assert others == [("cat", "n", "A small beast that is kept for its soft fur")]
    made = definition_pairs(net, others, seed=1)
    same = {frozenset(row[:2]) for row in made if row[2]}
    assert same == {
        frozenset({"of great size", "more than usual"}),
        frozenset({others[0][2], "a feline kept as a pet"}),
    }
    assert (others[0][2], "a canine kept as a pet", 0, "definition:other") in made


def test_negation_and_numbers_change(net: WordNet) -> None:
    rng = random.Random(0)
    for _ in range(20):
        assert negate(words_of("The door is open."), rng, net) != words_of("The door is open.")
        other = renumber(words_of("It took 12 hours."), rng, net)
        assert other is not None
        assert other[2] != "12"


def test_pairs_by_rule_come_in_both_kinds(net: WordNet, corpus: list[str]) -> None:
    pairs = list(minimal_pairs(corpus[:60], net, seed=1))
    assert pairs == list(minimal_pairs(corpus[:60], net, seed=1))
    labels = [label for _, _, label, _ in pairs]
    assert 0.3 < np.mean(labels) < 0.7
    assert all(first != second for first, second, label, _ in pairs if label == 0)
    templates = template_pairs(200, seed=1)
    assert np.mean([label for _, _, label, _ in templates]) == pytest.approx(0.5)
    assert not {(a, b) for a, b, y, _ in templates if y} & {
        (a, b) for a, b, y, _ in templates if not y
    }


def test_everyday_sentences_say_the_same_or_not() -> None:
    pairs = everyday_pairs(3000, seed=2)
    assert len(pairs) == 3000
    assert pairs == everyday_pairs(3000, seed=2)
    assert 0.35 < np.mean([label for _, _, label in pairs]) < 0.6
    assert not any("{" in one + other for one, other, _ in pairs)
    told = {(one.lower(), other.lower()): label for one, other, label in pairs}
    contradicted = [pair for pair, label in told.items() if told.get(pair[::-1], label) != label]
    assert not contradicted
    # Another value in the same words is another thing.
    values = [
        (one.lower().rstrip("."), other.lower().rstrip("."))
        for one, other, label in pairs
        if not label and one.lower().split()[:4] == other.lower().split()[:4]
    ]
    assert values
    assert all(one != other for one, other in values)


def test_opposites_are_the_same_among_each_other() -> None:
    told = {
        tuple(sorted(text.lower().rstrip(".") for text in (one, other))): label
        for one, other, label in everyday_pairs(8000, seed=3)
    }
    assert told[("everything has been uploaded", "the upload is complete")] == 1
    assert told[("not everything has been uploaded", "the upload is incomplete")] == 1
    assert told[("everything has been uploaded", "the upload is incomplete")] == 0
    # A value that only one of two sentences names tells nothing.
    assert ("anna has turned the fan on", "the fan is switched on") not in {
        pair for pair, label in told.items() if not label
    }


def test_mined_neighbours_are_labelled_where_it_is_clear(
    net: WordNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "conversion" / "recipes")
    mined = importlib.import_module("mined_pairs")

    def label(one: str, two: str, cosine: float) -> object:
        return mined._label(mined._Sentence.read(one), mined._Sentence.read(two), cosine, net)

    assert label("Can I pay by card?", "Do you take credit cards here?", 0.9) == 0.95
    assert label("Can I pay by card?", "My dog is old", 0.1) == 0
    assert label("Can I pay by card?", "Is there a fee for cards?", 0.7) is None
    assert label("It leaves at 7", "The departure is at 9", 0.9) == 0.05
    assert label("I did not get it", "It has reached me", 0.9) is None
    assert label("They accept it", "The offer they reject", 0.9) is None
    assert label("It is a big cat", "It is a big dog", 0.9) is None  # too many words are the same


def _table(file: Path, rows: list[tuple[str, str, str]]) -> Path:
    lines = ["label\tsentence1\tsentence2", *("\t".join(row) for row in rows)]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_tables_of_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [("1", "a", "b"), ("", "c", "d"), ("0.25", 'e "f', "g")]
    table = read_pairs([_table(tmp_path / "pairs.tsv", rows)])
    assert (table.first, table.second) == (["a", 'e "f'], ["b", "g"])
    assert table.labels.tolist() == [1, 0.25]
    assert "1 rows" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"line 4: label '0\.25' is not 0 or 1"):
        read_pairs([tmp_path / "pairs.tsv"], binary=True)
    (tmp_path / "other.tsv").write_text("a\tb\n")
    with pytest.raises(InputError, match="no column label"):
        read_pairs([tmp_path / "other.tsv"])


def test_the_fast_pass_is_that_of_transformers(tiny_bert_source: Path) -> None:
    torch.manual_seed(0)
    network = load_network(tiny_bert_source)
    ids = torch.randint(5, 200, (3, 9))
    types = torch.zeros_like(ids)
    types[:, 4:] = 1
    inputs = {"input_ids": ids, "token_type_ids": types, "attention_mask": torch.ones_like(ids)}
    with torch.inference_mode():
        expected = network.model(**inputs).logits[:, 0]
        ours = network(ids, types, dtype=torch.float32)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)


def test_a_table_of_low_rank_is_kept_whole() -> None:
    table = torch.randn(50, 4) @ torch.randn(4, 8)
    whole = RankTable(table, torch.arange(50.0), 6).whole()
    torch.testing.assert_close(whole, table, atol=1e-3, rtol=0)


def test_training_learns_resumes_and_is_refused_other_pairs(
    tmp_path: Path, tiny_bert_source: Path, corpus: list[str]
) -> None:
    short = [text for text in corpus if len(text) < 60][:40]
    rows = [("1", text, text) for text in short]
    rows += [("0", a, b) for a, b in pairwise(short)]
    pairs = _table(tmp_path / "pairs.tsv", rows)
    dev = _table(tmp_path / "dev.tsv", rows[20:60])

    def run(output: str, steps: int, file: Path = pairs) -> None:
        recipe = PairRecipe(steps=steps, learning_rate=2e-3, warmup=2, batch_tokens=256)
        train_pairs(
            str(tiny_bert_source), [file], tmp_path / output, recipe=recipe, development=[dev],
            work_dir=tmp_path / "work", bf16=False, force=True,
        )  # fmt: skip

    run("out", 4)
    run("out", 12)
    log = (tmp_path / "out" / "training.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in log[1:]] == ["4", "12"]
    assert (tmp_path / "out" / "model.safetensors").is_file()
    with pytest.raises(InputError, match="holds another run"):
        run("out", 12, _table(tmp_path / "more.tsv", rows[:50]))
