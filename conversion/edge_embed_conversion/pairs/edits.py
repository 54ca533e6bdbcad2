"""Edits of a sentence by rule: those that change its meaning, and those that keep it.

Every edit takes a sentence's words (with punctuation marks as words of their own, as ``words_of``
makes them), a random generator and a WordNet, and returns new words, or None where it does not
apply. ``CHANGES`` and ``KEEPS`` list them with the kind of pair that they make. The rules are
simple and some results are not good English; with those the model learns to look at meaning rather
than at grammar.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence

from edge_embed_conversion.pairs import lexicon
from edge_embed_conversion.pairs.wordnet import WordNet

__all__ = [
    "CHANGES",
    "KEEPS",
    "Edit",
    "Words",
    "edited",
    "joined",
    "renamer",
    "replaced",
    "words_of",
]

Words = list[str]
Edit = Callable[[Words, random.Random, WordNet], Words | None]

_WORD = re.compile(r"[A-Za-z]+(?:[-'’][A-Za-z]+)*\.?(?<=[A-Za-z])|\d+(?:[.,]\d+)*|[^\sA-Za-z\d]")
_AUXILIARIES = set(
    lexicon.words(
        "is are was were am will would can could should must may might has have had do does did"
    )
)
_SUBJECTS = set(lexicon.words("i you he she it we they this that who there"))
_NOT_NAMES = {"I", "The", "A", "An", "In", "On", "It", "He", "She", "They", "We", "You", "This"}


def words_of(sentence: str) -> Words:
    """Return the sentence's words, numbers and punctuation marks."""
    return _WORD.findall(sentence.replace("’", "'"))


def joined(words: Sequence[str]) -> str:
    """Return the words as a sentence."""
    text = " ".join(words)
    text = re.sub(r" ([.,;:?!%)\]])", r"\1", text)
    text = re.sub(r"([(\[$€£#]) ", r"\1", text)
    return text[:1].upper() + text[1:] if text else text


def _choose(options: Sequence[int], rng: random.Random) -> int | None:
    return rng.choice(options) if options else None


def replaced(words: Words, at: int, new: Sequence[str], *, width: int = 1) -> Words:
    """Return the words with ``new`` in place of the ``width`` words from ``at``."""
    first = new[0]
    if words[at][:1].isupper() and at == 0:
        first = first[:1].upper() + first[1:]
    return [*words[:at], first, *new[1:], *words[at + width :]]


# Changes.


def negate(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Negate the sentence."""
    spots = [i for i, w in enumerate(words) if w.lower() in _AUXILIARIES and i + 1 < len(words)]
    spots = [i for i in spots if words[i + 1].lower() not in ("not", "n't", "never", "no")]
    if spots and rng.random() < 0.8:
        at = spots[0]
        word = words[at].lower()
        question = at == 0 and words[-1] == "?"
        if rng.random() < 0.4 and word not in ("am", "may", "might", "will", "can"):
            return replaced(words, at, [word + "n't"])
        if word == "can":
            return replaced(words, at, ["can't" if question or rng.random() < 0.5 else "cannot"])
        put = rng.choice(["not", "not", "not", "never", "no longer"]).split()
        after = at + 2 if question and len(words) > at + 2 else at + 1
        return [*words[:after], *put, *words[after:]]
    return _negate_verb(words, rng, net) or _wrap(words, rng)


def _negate_verb(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    for at, word in enumerate(words[:12]):
        form = net.analyse(word.lower())
        if form is None or form[1] != "v" or form[2] == "ing":
            continue
        before = words[at - 1].lower() if at else ""
        if at == 0 and not form[2]:
            return ["Do" if rng.random() < 0.5 else "do", "not", word.lower(), *words[1:]]
        if before in ("to", "will", "can", "would", "could", "should", "must"):
            return [*words[:at], "not", *words[at:]]
        noun = at > 0 and (before in _SUBJECTS or words[at - 1].isalpha())
        if not noun or before in ("the", "a", "an", "be", "is", "are", "was", "were", "by", "and"):
            continue
        helper = {"s": "does", "ed": "did"}.get(form[2], "do")
        put = [helper + "n't"] if rng.random() < 0.5 else [helper, "not"]
        if rng.random() < 0.15:
            return [*words[:at], "never", *words[at:]]
        return [*words[:at], *put, form[0], *words[at + 1 :]]
    return None


def _wrap(words: Words, rng: random.Random) -> Words | None:
    if words[-1] == "?" or len(words) < 4:
        return None
    start = rng.choice(["it is not true that", "it is false that", "i doubt that"])
    return [*start.split(), *_lowered(words)]


def _lowered(words: Words) -> Words:
    first = words[0]
    name = first == "I" or (len(words) > 1 and words[1][:1].isupper())
    return [first if name else first[:1].lower() + first[1:], *words[1:]]


def affirm(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Remove a negation."""
    spots = [i for i, w in enumerate(words) if w.lower() in ("not", "never", "without", "no")]
    short = [i for i, w in enumerate(words) if w.lower().endswith("n't") and w.lower() != "ain't"]
    if short:
        at = short[0]
        word = words[at].lower()
        whole = {"won't": "will", "can't": "can", "shan't": "shall"}.get(word, word[:-3])
        if whole in ("do", "does", "did") and at + 1 < len(words):
            form = net.inflect(
                words[at + 1].lower(), "v", {"does": "s", "did": "ed"}.get(whole, "")
            )
            if form and rng.random() < 0.7:
                return [*words[:at], form, *words[at + 2 :]]
        return replaced(words, at, [whole])
    at_word = _choose(spots, rng)
    if at_word is None:
        return None
    word = words[at_word].lower()
    put = {"no": ["some"], "without": ["with"]}.get(word, [])
    return [*words[:at_word], *put, *words[at_word + 1 :]]


def _mapped(words: Words, rng: random.Random, table: dict[str, list[str]]) -> Words | None:
    at = _choose([i for i, w in enumerate(words) if w.lower() in table], rng)
    if at is None:
        return None
    return replaced(words, at, rng.choice(table[words[at].lower()]).split())


def _both_ways(pairs: Sequence[str]) -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    for pair in pairs:
        one, other = pair.split("/")
        table.setdefault(one, []).append(other)
        table.setdefault(other, []).append(one)
    return table


_OPPOSITES = _both_ways(lexicon.OPPOSITES)
_SAME_GROUP = {
    word: [other for other in group if other != word]
    for group in (*lexicon.UNITS, *lexicon.QUANTIFIERS)
    for word in group
}


def _antonym_spots(words: Words, net: WordNet) -> list[tuple[int, list[str]]]:
    spots = []
    for at, word in enumerate(words):
        known = list(_OPPOSITES.get(word.lower(), ()))
        form = net.analyse(word.lower())
        if form is not None:
            lemma, pos, ending = form
            inflected = [net.inflect(other, pos, ending) for other in net.antonyms(lemma, pos)]
            known += [other for other in inflected if other]
        if known:
            spots.append((at, known))
    return spots


def oppose(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Replace a word by its opposite."""
    spots = _antonym_spots(words, net)
    if not spots:
        return None
    at, options = rng.choice(spots)
    return replaced(words, at, [rng.choice(options)])


def _is_number(word: str) -> bool:
    return word[:1].isdecimal() or word.lower() in lexicon.NUMBERS[1:]


def renumber(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Replace a number by another."""
    spots = [i for i, w in enumerate(words) if _is_number(w) or w.lower() in lexicon.ORDINALS]
    at = _choose(spots, rng)
    if at is None:
        return None
    word = words[at].lower()
    for names in (lexicon.NUMBERS, lexicon.ORDINALS):
        if word in names:
            return replaced(words, at, [rng.choice([n for n in names[1:] if n != word])])
    return replaced(words, at, [_other_number(word, rng)])


def _other_number(word: str, rng: random.Random) -> str:
    places = [i for i, c in enumerate(word) if c.isdecimal()]
    while True:
        digits = list(word)
        way = rng.random()
        if way < 0.55:
            at = rng.choice(places)
            digits[at] = rng.choice("123456789" if at == 0 else "0123456789")
        elif way < 0.7:
            digits.append(rng.choice("05"))
        elif way < 0.8 and len(places) > 1:
            del digits[-1]
        else:
            step = rng.choice([-10, -2, -1, 1, 2, 3, 10])
            plain = word.replace(",", "")
            digits = list(str(int(plain) + step)) if plain.isdecimal() else digits
        other = "".join(digits)
        if other != word and other[:1].isdecimal():
            return other


def redate(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Replace a weekday or a month by another."""
    for dates in (lexicon.DAYS, lexicon.MONTHS):
        names = {name.lower() for name in dates} - {"may", "march"}
        at = _choose([i for i, w in enumerate(words) if w.lower() in names], rng)
        if at is not None:
            return replaced(words, at, [rng.choice([n for n in dates if n != words[at]])])
    return None


def replace_in_group(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Replace a unit, time, family relation, pronoun or quantifier by another of its group."""
    return _mapped(words, rng, _SAME_GROUP)


def replace_noun(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Replace a noun by another with the same hypernym, as "cat" by "dog"."""
    spots = []
    for at, word in enumerate(words):
        form = net.analyse(word.lower())
        if form is not None and form[1] == "n" and not word.isupper():
            spots.append((at, form))
    rng.shuffle(spots)
    for at, (lemma, pos, ending) in spots[:3]:
        options = net.sisters(lemma)
        if options:
            other = net.inflect(rng.choice(options), pos, ending)
            if other:
                return replaced(words, at, [other])
    return None


def _names(words: Words) -> list[tuple[int, int]]:
    """Return start and end of each run of capitalised words, without the sentence's first word."""
    spans: list[tuple[int, int]] = []
    at = 0
    while at < len(words):
        end = at
        while end < len(words) and words[end][:1].isupper() and words[end] not in _NOT_NAMES:
            end += 1
        if end > at and (at > 0 or end - at > 1):
            spans.append((at, end))
        at = max(end, at + 1)
    return spans


def _swap(words: Words, one: tuple[int, int], two: tuple[int, int]) -> Words:
    (a, b), (c, d) = sorted((one, two))
    return [*words[:a], *words[c:d], *words[b:c], *words[a:b], *words[d:]]


def swap_roles(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Exchange two names, numbers, nouns, adjectives or verbs of the sentence."""
    kinds: dict[str, list[tuple[int, int]]] = {"name": _names(words), "number": []}
    taken = {i for a, b in kinds["name"] for i in range(a, b)}
    for at, word in enumerate(words):
        if word[:1].isdecimal():
            kinds["number"].append((at, at + 1))
        elif at not in taken and len(word) > 2:
            form = net.analyse(word.lower())
            if form is not None:
                kinds.setdefault(form[1] + form[2], []).append((at, at + 1))
    options = [spans for spans in kinds.values() if len(spans) > 1]
    rng.shuffle(options)
    for spans in options:
        one, two = sorted(rng.sample(spans, 2))
        between = [w.lower() for w in words[one[1] : two[0]]]
        same = [w.lower() for w in words[slice(*one)]] == [w.lower() for w in words[slice(*two)]]
        # Within an enumeration ("A and B", "A, B and C") an exchange keeps the meaning.
        if same or set(between) <= {"and", "or", ","} or ("," in between and "and" in between):
            continue
        swapped = _swap(words, one, two)
        if one[0] == 0 and not words[0].isdecimal():
            first = words[0]
            swapped[0] = swapped[0][:1].upper() + swapped[0][1:]
            end = two[1] - 1
            if one == (0, 1) and len(kinds["name"]) < 2:
                swapped[end] = first.lower()
        return swapped
    return None


def renamer(sentences: Sequence[str]) -> Edit:
    """Return an edit that replaces a name by another name of ``sentences``."""
    counts = Counter(
        words[start]
        for words in map(words_of, sentences)
        for start, end in _names(words)
        if start and end - start == 1 and words[start].istitle()
    )
    names = sorted(name for name, count in counts.items() if count > 1)

    def rename(words: Words, rng: random.Random, net: WordNet) -> Words | None:
        """Replace a name by another."""
        spots = [(a, b) for a, b in _names(words) if a and words[a].istitle()]
        if not spots or len(names) < 2:
            return None
        at = rng.choice(spots)[0]
        return replaced(words, at, [rng.choice([name for name in names if name != words[at]])])

    return rename


def narrow(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Insert a modifier before a noun, or remove one."""
    spots = []
    for at, word in enumerate(words[:-1]):
        form, after = net.analyse(word.lower()), net.analyse(words[at + 1].lower())
        if form and after and form[1] == "a" and after[1] == "n" and not form[2]:
            spots.append(at)
    at_word = _choose(spots, rng)
    if at_word is not None and rng.random() < 0.7:
        return [*words[:at_word], *words[at_word + 1 :]]
    nouns = []
    for at, word in enumerate(words):
        before = words[at - 1].lower() if at else ""
        form = net.analyse(word.lower())
        if form and form[1] == "n" and before in ("a", "an", "the", "his", "her", "my", "this"):
            nouns.append(at)
    spot = _choose(nouns, rng)
    if spot is None:
        return None
    return [*words[:spot], rng.choice(lexicon.MODIFIERS), *words[spot:]]


def hedge(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Weaken a statement by a modal verb ("is" to "might be")."""
    for at, word in enumerate(words):
        if word.lower() in ("is", "are", "was", "were") and at:
            put = rng.choice(["might be", "should be", "used to be", "could be", "wants to be"])
            return [*words[:at], *put.split(), *words[at + 1 :]]
    return None


# Keeps.


def synonym(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Replace a word by a synonym."""
    spots = []
    for at, word in enumerate(words):
        form = net.analyse(word.lower())
        if form is None or (word[:1].isupper() and at):
            continue
        lemma, pos, ending = form
        for other in net.synonyms(lemma, pos):
            head, *rest = other.split("_")
            if rest and pos != "v" and ending:
                continue
            inflected = net.inflect(head, pos, ending)
            if inflected:
                spots.append((at, [inflected, *rest]))
    if not spots:
        return None
    at, new = rng.choice(spots)
    changed = replaced(words, at, new)
    if at and changed[at - 1].lower() in ("a", "an"):
        article = "an" if new[0][0] in "aeiou" else "a"
        changed[at - 1] = article.capitalize() if at == 1 else article
    return changed


def contract(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Write "do not" for "don't", or the reverse."""
    return _phrase(words, rng, _CONTRACTIONS)


def rephrase(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Replace a phrase by one with the same meaning."""
    return _phrase(words, rng, _REPHRASED)


def abbreviate(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Replace an abbreviation by its long form, or the reverse."""
    return _phrase(words, rng, _ABBREVIATIONS, exact=True)


def _phrases(pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, ...], list[Words]]:
    table: dict[tuple[str, ...], list[Words]] = {}
    for one, other in pairs:
        a, b = words_of(one), words_of(other)
        table.setdefault(tuple(a), []).append(b)
        table.setdefault(tuple(b), []).append(a)
    return table


def _entries(text: str) -> list[tuple[str, str]]:
    found = []
    for entry in text.split(";"):
        one, other = entry.split("|")
        found.append((one.strip(), other.strip()))
    return found


_REPHRASED = _phrases(_entries(lexicon.REPHRASED))
_ABBREVIATIONS = _phrases(_entries(lexicon.ABBREVIATIONS))


def _contractions() -> dict[tuple[str, ...], list[Words]]:
    found = re.findall(r"(\S+'\S+)/(\S+(?: \S+)?)(?= \S+/|$)", lexicon.CONTRACTIONS)
    return _phrases(found)


_CONTRACTIONS = _contractions()


def _phrase(
    words: Words,
    rng: random.Random,
    table: dict[tuple[str, ...], list[Words]],
    *,
    exact: bool = False,
) -> Words | None:
    looked = words if exact else [w.lower() for w in words]
    spots = []
    for at in range(len(words)):
        for width in (1, 2, 3, 4):
            key = tuple(looked[at : at + width])
            if len(key) == width and key in table:
                spots.append((at, width, key))
    if not spots:
        return None
    at, width, key = rng.choice(spots)
    new = ["I" if word == "i" else word for word in rng.choice(table[key])]
    return replaced(words, at, new, width=width)


def spell_number(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Write a number in words instead of digits, or the reverse."""
    spots = []
    for at, word in enumerate(words):
        low = word.lower()
        if low in lexicon.NUMBERS[2:]:
            spots.append((at, str(lexicon.NUMBERS.index(low))))
        elif word.isdecimal() and 2 <= int(word) <= 20:
            spots.append((at, lexicon.NUMBERS[int(word)]))
        elif word.isdecimal() and int(word) in lexicon.TENS:
            spots.append((at, lexicon.TENS[int(word)]))
        elif word.isdecimal() and len(word) > 4:
            spots.append((at, f"{int(word):,}"))
        elif "," in word and word.replace(",", "").isdecimal():
            spots.append((at, word.replace(",", "")))
        elif low in lexicon.ORDINALS:
            spots.append((at, str(lexicon.ORDINALS.index(low) + 1) + "th"))
    if not spots:
        return None
    at, new = rng.choice(spots)
    new = {"1th": "1st", "2th": "2nd", "3th": "3rd"}.get(new, new)
    return replaced(words, at, [new])


def swap_equals(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Write "B and A" for "A and B"."""
    spots: list[tuple[tuple[int, int], tuple[int, int]]] = []
    names = {start: (start, end) for start, end in _names(words)}
    ends = {end: (start, end) for start, end in names.values()}
    for at, word in enumerate(words[:-1]):
        if word.lower() not in ("and", "or") or not at:
            continue
        if at in ends and at + 1 in names:
            spots.append((ends[at], names[at + 1]))
            continue
        one, two = net.analyse(words[at - 1].lower()), net.analyse(words[at + 1].lower())
        after = net.analyse(words[at + 2].lower()) if at + 2 < len(words) else None
        alone = after is None or after[1] not in "na"
        if one and two and one[1:] == two[1:] and one[1] in "na" and alone and at > 1:
            before = net.analyse(words[at - 2].lower())
            if one[1] == "a" or before is None or before[1] != "a":
                spots.append(((at - 1, at), (at + 1, at + 2)))
    if not spots:
        return None
    return _swap(words, *rng.choice(spots))


def front(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Move "in 1990", "on Monday" or an adverb from the end to the start, or back."""
    end = words[-1] if words[-1] in ".!" else ""
    body = words[:-1] if end else list(words)
    if words[-1] == "?" or len(body) < 6:
        return None
    tail = 1 if body[-1].lower() in lexicon.ADVERBS else 0
    year = re.fullmatch(r"1[0-9]{3}|20[0-9]{2}", body[-1])
    if body[-2].lower() in ("in", "on", "since", "by") and (year or body[-1] in lexicon.DAYS):
        tail = 2
    if tail:
        moved = (
            [body[-tail].capitalize(), *body[-tail + 1 :]] if tail > 1 else [body[-1].capitalize()]
        )
        comma = [","] if rng.random() < 0.8 else []
        return [*moved, *comma, *_lowered(body[:-tail]), *([end] if end else [])]
    if "," in body[1:5] and body[0].lower() in ("in", "on", "after", "before", "during", "since"):
        at = body.index(",", 1)
        rest = body[at + 1 :]
        if "," not in rest and len(rest) > 3:
            rest = [rest[0][:1].upper() + rest[0][1:], *rest[1:]]
            return [*rest, body[0].lower(), *body[1:at], *([end] if end else [])]
    return None


def not_opposite(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Write "is not closed" for "is open"."""
    spots = []
    for at, options in _antonym_spots(words, net):
        form = net.analyse(words[at].lower())
        before = words[at - 1].lower() if at else ""
        last = at + 1 == len(words) or not words[at + 1].isalpha()
        if before in ("is", "are", "was", "were", "be", "not") and last and form and form[1] == "a":
            spots.append((at, options))
    if not spots:
        return None
    at, options = rng.choice(spots)
    if words[at - 1].lower() == "not":
        return [*words[: at - 1], rng.choice(options), *words[at + 1 :]]
    return [*words[:at], "not", rng.choice(options), *words[at + 1 :]]


def fill(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Insert a filler word such as "really", or remove one."""
    at = _choose([i for i, w in enumerate(words) if w.lower() in ("really", "just", "very")], rng)
    if at is not None:
        return [*words[:at], *words[at + 1 :]]
    return [*rng.choice(lexicon.FILLERS).split(), *_lowered(words)]


def vary_spelling(words: Words, rng: random.Random, net: WordNet) -> Words | None:
    """Change case, the final punctuation mark, or make a typing error of one letter."""
    way = rng.random()
    if way < 0.4:
        return words[:-1] if words[-1] in ".!?" else [*words, rng.choice(".!")]
    if way < 0.5:
        return [rng.choice([str.upper, str.lower])(word) for word in words]
    long = [i for i, w in enumerate(words) if len(w) > 5 and w.isalpha() and w.islower()]
    at = _choose(long, rng)
    if at is None:
        return None
    letters = list(words[at])
    spot = rng.randrange(1, len(letters) - 2)
    if rng.random() < 0.5:
        letters[spot], letters[spot + 1] = letters[spot + 1], letters[spot]
    else:
        del letters[spot]
    return [*words[:at], "".join(letters), *words[at + 1 :]]


CHANGES: tuple[tuple[str, float, Edit], ...] = (
    ("negation", 3.0, negate),
    ("negation", 3.0, affirm),
    ("antonym", 4.0, oppose),
    ("number", 4.0, renumber),
    ("date", 2.0, redate),
    ("unit", 1.5, replace_in_group),
    ("word", 1.0, replace_noun),
    ("role", 4.0, swap_roles),
    ("modifier", 0.5, narrow),
    ("modality", 0.3, hedge),
)
"""Edits that change the meaning: kind of pair, relative frequency, function."""

KEEPS: tuple[tuple[str, float, Edit], ...] = (
    ("synonym", 3.0, synonym),
    ("contraction", 1.5, contract),
    ("phrase", 4.0, rephrase),
    ("abbreviation", 1.0, abbreviate),
    ("number-word", 3.0, spell_number),
    ("order", 4.0, swap_equals),
    ("order", 4.0, front),
    ("not-opposite", 4.0, not_opposite),
    ("filler", 0.4, fill),
    ("spelling", 0.7, vary_spelling),
)
"""Edits that keep the meaning: kind of pair, relative frequency, function."""


def edited(
    words: Words,
    edits: Sequence[tuple[str, float, Edit]],
    count: int,
    rng: random.Random,
    net: WordNet,
) -> tuple[Words, str] | None:
    """Apply up to ``count`` edits in random order by weight; return words and the first's kind."""
    order = sorted(edits, key=lambda edit: -(rng.random() ** (1 / edit[1])))
    done: list[str] = []
    for kind, _, edit in order:
        if len(done) == count:
            break
        new = edit(list(words), rng, net)
        if new and new != words:
            words = new
            done.append(kind)
    return (words, done[0]) if done else None
