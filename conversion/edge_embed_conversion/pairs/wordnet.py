"""Synonyms, antonyms and sister terms of inflected English words, from WordNet's own files.

Reads the folder that the Debian package ``wordnet-base`` installs (``data.*``, ``index.*``,
``*.exc``, ``cntlist.rev``; format: wndb(5WN)). Synonyms are given only for words that mostly occur
in their first sense, so that a substitution is seldom wrong.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property, lru_cache
from pathlib import Path

from edge_embed.errors import InputError

__all__ = ["WordNet"]

_FILES = {"n": "noun", "v": "verb", "a": "adj", "r": "adv"}
_VOWELS = "aeiou"
_SEMICOLON = re.compile(r"; (?![^()]*\))")


class WordNet:
    """The words of one WordNet folder.

    Raises:
        InputError: the folder does not have WordNet's files.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "data.noun").is_file():
            raise InputError(f"{folder} has no WordNet files such as data.noun")
        self._folder = folder
        self._synsets: dict[str, list[str]] = {}
        self._opposites: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._parents: dict[str, str] = {}
        self._glosses: dict[str, str] = {}
        for pos in _FILES:
            self._read_data(pos)
        self._senses = {pos: self._read_index(pos) for pos in _FILES}
        self._counts = self._read_counts()
        self._irregular = {pos: self._read_exceptions(pos) for pos in _FILES}

    def _lines(self, name: str) -> Iterator[str]:
        with (self._folder / name).open(encoding="utf-8") as stream:
            for line in stream:
                if not line.startswith(" "):
                    yield line

    def _read_data(self, pos: str) -> None:
        raw: list[tuple[str, str, str, int, int]] = []
        for line in self._lines(f"data.{_FILES[pos]}"):
            facts, _, gloss = line.partition(" | ")
            fields = facts.split()
            key = pos + fields[0]
            self._glosses[key] = gloss.strip()
            count = int(fields[3], 16)
            words = [fields[4 + 2 * i].split("(")[0] for i in range(count)]
            self._synsets[key] = words
            at = 4 + 2 * count
            for i in range(int(fields[at])):
                symbol, offset, kind, places = fields[at + 1 + 4 * i : at + 5 + 4 * i]
                target = ("a" if kind == "s" else kind) + offset
                if symbol == "!":
                    raw.append((key, target, pos, int(places[:2], 16), int(places[2:], 16)))
                elif symbol == "@":
                    self._parents.setdefault(key, target)
        for key, target, _, source, aim in raw:
            if target in self._synsets:
                word = self._synsets[key][source - 1].lower()
                self._opposites[key, word].add(self._synsets[target][aim - 1])

    def _read_index(self, pos: str) -> dict[str, list[str]]:
        senses = {}
        for line in self._lines(f"index.{_FILES[pos]}"):
            fields = line.split()
            count = int(fields[2])
            senses[fields[0]] = [pos + offset for offset in fields[-count:]]
        return senses

    def _read_counts(self) -> dict[tuple[str, str], list[int]]:
        counts: dict[tuple[str, str], list[int]] = defaultdict(list)
        kinds = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "a"}
        for line in self._lines("cntlist.rev"):
            key, _, count = line.split()
            lemma, rest = key.split("%")
            counts[lemma, kinds[rest[0]]].append(int(count))
        return counts

    def _read_exceptions(self, pos: str) -> dict[str, str]:
        table = {}
        for line in self._lines(f"{_FILES[pos]}.exc"):
            form, lemma = line.split()[:2]
            table[form] = lemma
        return table

    @cached_property
    def _forms(self) -> dict[tuple[str, str], list[str]]:
        forms: dict[tuple[str, str], list[str]] = defaultdict(list)
        for pos in ("n", "v"):
            for form, lemma in self._irregular[pos].items():
                forms[lemma, pos].append(form)
        return forms

    @lru_cache(maxsize=100_000)  # noqa: B019 - a program has one WordNet, until it ends
    def part_of_speech(self, lemma: str) -> str | None:
        """Return ``n``, ``v``, ``a`` or ``r`` if ``lemma`` occurs mostly as that, else None."""
        totals = {pos: sum(self._counts.get((lemma, pos), ())) + 0.1 for pos in _FILES}
        totals = {pos: n for pos, n in totals.items() if lemma in self._senses[pos]}
        if not totals:
            return None
        best = max(totals, key=lambda pos: totals[pos])
        return best if totals[best] >= 0.8 * sum(totals.values()) else None

    @lru_cache(maxsize=100_000)  # noqa: B019
    def analyse(self, word: str) -> tuple[str, str, str] | None:
        """Return lemma, part of speech and form ("", "s", "ed", "ing") of a lower-case word."""
        options = [(word, "")]
        for pos in ("v", "n"):
            lemma = self._irregular[pos].get(word)
            if lemma:
                form = "s" if pos == "n" else "ing" if word.endswith("ing") else "ed"
                if self.part_of_speech(lemma) == pos:
                    return lemma, pos, form
        for ending, form in (("ies", "s"), ("es", "s"), ("s", "s"), ("ied", "ed"), ("ed", "ed")):
            if word.endswith(ending) and len(word) > len(ending) + 2:
                stem = word[: -len(ending)]
                options += [(stem + add, form) for add in _restored(ending, stem)]
        if word.endswith("ing") and len(word) > 5:
            stem = word[:-3]
            options += [(stem + add, "ing") for add in _restored("ing", stem)]
        for lemma, form in options:
            part = self.part_of_speech(lemma)
            if part is None or (form in ("ed", "ing") and part != "v"):
                continue
            if form == "s" and part not in ("n", "v"):
                continue
            if self.inflect(lemma, part, form) == word:
                return lemma, part, form
        return None

    def inflect(self, lemma: str, pos: str, form: str) -> str | None:
        """Return ``lemma`` in ``form``; None if there are several irregular forms."""
        if not form:
            return lemma
        irregular = self._forms.get((lemma, pos), [])
        if pos == "n" and form == "s":
            return irregular[0] if irregular else _plural(lemma)
        if pos != "v":
            return None
        if form == "s":
            return _plural(lemma)
        known = [word for word in irregular if word.endswith("ing") == (form == "ing")]
        if known:
            # Past tense and participle may differ ("took", "taken"), and "ed" is either.
            return known[0] if len(known) == 1 else None
        return _suffixed(lemma, form)

    def synonyms(self, lemma: str, pos: str) -> list[str]:
        """Return words that share their first sense with ``lemma``."""
        senses = self._senses[pos].get(lemma, [])
        if not senses or not self._first_sense_rules(lemma, pos):
            return []
        words = [word.lower() for word in self._synsets[senses[0]]]
        return [
            word
            for word in dict.fromkeys(words)
            if word != lemma
            and self._senses[pos].get(word, [""])[0] == senses[0]
            and word.replace("_", "").isalpha()
            and self._known(word, pos)
        ]

    def near_synonyms(self, lemma: str, pos: str) -> list[str]:
        """Return words of the first sense of ``lemma`` that have it among their first three.

        Only where that sense is at least half of the occurrences of ``lemma``.
        """
        senses = self._senses[pos].get(lemma, [])
        counts = self._counts.get((lemma, pos), [])
        if not senses or not counts or max(counts) < 0.5 * sum(counts):
            return []
        words = dict.fromkeys(word.lower() for word in self._synsets[senses[0]])
        return [
            word
            for word in words
            if word != lemma
            and word.replace("_", "").isalpha()
            and senses[0] in self._senses[pos].get(word, [])[:3]
        ]

    def known(self, word: str) -> bool:
        """Say whether ``word``, in lower case, is a word as it stands or an inflected one."""
        return any(word in self._senses[pos] for pos in _FILES) or self.analyse(word) is not None

    def definitions(self) -> dict[str, list[str]]:
        """Return the definitions of each sense (its part of speech, then digits), no examples.

        A gloss may define its sense in several ways, separated by semicolons. Names are left out.
        """
        found = {}
        for key, gloss in self._glosses.items():
            if key.startswith("n") and key not in self._parents:
                continue
            parts = _SEMICOLON.split(gloss)
            found[key] = [part for part in parts if part and not part.startswith('"')]
        return found

    def only_sense(self, word: str, pos: str) -> str | None:
        """Return the sense of ``word``, in lower case, if it has a single one."""
        senses = self._senses[pos].get(word, [])
        return senses[0] if len(senses) == 1 else None

    def siblings(self, key: str) -> list[str]:
        """Return the other senses with the same parent; adjectives and adverbs have none."""
        return [other for other in self._kin.get(self._parents.get(key, ""), []) if other != key]

    @cached_property
    def _kin(self) -> dict[str, list[str]]:
        kin: dict[str, list[str]] = defaultdict(list)
        for key, parent in self._parents.items():
            kin[parent].append(key)
        return kin

    def antonyms(self, lemma: str, pos: str) -> list[str]:
        """Return the direct opposites of the first two senses of ``lemma``."""
        found = set()
        for sense in self._senses[pos].get(lemma, [])[:2]:
            found |= self._opposites.get((sense, lemma), set())
        return sorted(word.lower() for word in found if word.isalpha())

    def sisters(self, lemma: str) -> list[str]:
        """Return nouns with the same hypernym as ``lemma``, as dog for cat."""
        senses = self._senses["n"].get(lemma, [])
        if not senses or senses[0] not in self._parents:
            return []
        own = set(self._synsets[senses[0]])
        return [
            word
            for word in self._children.get(self._parents[senses[0]], [])
            if word not in own and word.isalpha() and word.islower() and self._known(word, "n")
        ]

    @cached_property
    def _children(self) -> dict[str, list[str]]:
        children: dict[str, list[str]] = defaultdict(list)
        for key, parent in self._parents.items():
            if key.startswith("n"):
                children[parent].append(self._synsets[key][0])
        return children

    def _first_sense_rules(self, lemma: str, pos: str) -> bool:
        counts = self._counts.get((lemma, pos), [])
        senses = self._senses[pos].get(lemma, [])
        if len(senses) == 1:
            return bool(counts)
        return bool(counts) and max(counts) >= 0.7 * sum(counts) and sum(counts) >= 3

    def _known(self, word: str, pos: str) -> bool:
        return bool(self._counts.get((word, pos)))


def _restored(ending: str, stem: str) -> list[str]:
    if ending in ("ies", "ied"):
        return ["y"]
    if ending == "s":
        return [""]
    if ending == "es":
        return ["", "e"]
    return ["", "e"]


def _plural(word: str) -> str:
    if word.endswith("y") and len(word) > 1 and word[-2] not in _VOWELS:
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "z", "ch", "sh", "o")) else "s")


def _suffixed(word: str, form: str) -> str:
    if word.endswith("e") and not (form == "ing" and word.endswith(("ee", "oe", "ye"))):
        return word[:-1] + form
    if form == "ed" and word.endswith("y") and word[-2:-1] not in _VOWELS:
        return word[:-1] + "ied"
    short = len(word) >= 3 and word[-1] not in _VOWELS + "wxy" and word[-2] in _VOWELS
    if short and word[-3] not in _VOWELS and len(word) <= 4:
        return word + word[-1] + form
    return word + form
