"""Pairs of everyday sentences: what people say at home, at a counter and to a support desk.

``data/everyday.txt`` has groups of sentences with the same meaning in different words, each with
similar sentences of another meaning, or with groups that say the opposite; corpora have few of
either.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from edge_embed_conversion.pairs.lexicon import words

__all__ = ["everyday_pairs"]

Pair = tuple[str, str, int]

_VALUES: Mapping[str, Sequence[str]] = {
    "room": words("kitchen bedroom bathroom hall office cellar attic garage"),
    "person": words("Anna Ben my-brother the-doctor Mrs-Miller Omar our-neighbour Priya"),
    "person2": words("Lena Tom my-sister the-teacher Mr-Silva Chloe our-boss Yusuf"),
    "city": words("Lyon Boston Leeds Mumbai Porto Krakow Denver Osaka"),
    "country": words("Norway Kenya Brazil Japan Egypt Canada Poland Chile"),
    "language": words("French Hindi Arabic Polish Japanese Spanish"),
    "place": words("pharmacy museum town-hall petrol-station post-office hospital supermarket"),
    "thing": words("wallet keys umbrella passport bag jacket ring"),
    "device": words("phone laptop tablet printer router camera watch"),
    "machine": words("heater fan radio oven mixer lamp drill vacuum-cleaner"),
    "case": words("safe shed suitcase cupboard toolbox cabin locker chest"),
    "goods": words("table bicycle tent piano sofa ladder boat desk"),
    "ride": words("train bus ferry tram coach"),
    "amount": words("rent water-level temperature number-of-visitors fee wage speed price-of-oil"),
    "food": words("bread cheese rice coffee sugar butter fruit"),
    "day": words("tomorrow on-Tuesday next-week tonight on-Saturday this-afternoon"),
    "weekday": words("Mondays Wednesdays Saturdays holidays"),
    "time": ("six", "7:30", "noon", "9 pm", "half past ten", "4 in the morning"),
    "few": words("two three five six eight ten"),
    "year": ("in 1987", "in 2004", "in 2016", "last year", "two years ago"),
}
_SLOT = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class _Meaning:
    same: tuple[str, ...]
    opposite: tuple[str, ...]
    other: tuple[str, ...]

    def slots(self) -> list[str]:
        return sorted(set(_SLOT.findall(" ".join(self.same + self.opposite + self.other))))


def _meanings() -> list[_Meaning]:
    text = files("edge_embed_conversion").joinpath("data/everyday.txt").read_text(encoding="utf-8")
    blocks = [block.splitlines() for block in text.split("\n\n")]
    found = [
        _Meaning(
            *(tuple(line[2:] for line in block if line.startswith(f"{mark} ")) for mark in "=-!")
        )
        for block in blocks
    ]
    return [meaning for meaning in found if meaning.same]


def everyday_pairs(count: int, *, seed: int) -> list[Pair]:
    """Return about ``count`` pairs with label 1 where both say the same; each pair once."""
    rng = random.Random(seed)  # noqa: S311 - examples, not a secret
    meanings = _meanings()
    found: dict[tuple[str, str], int] = {}
    for _ in range(20 * count):
        if len(found) >= count:
            break
        meaning = rng.choice(meanings)
        kind = rng.choice((_same, _same, _look_alike, _look_alike, _other_value))
        pair = kind(meaning, rng)
        if pair is not None:
            one, other, label = pair
            found.setdefault((_told(one, rng), _told(other, rng)), label)
    return [(one, other, label) for (one, other), label in found.items()]


def _filled(sentence: str, values: Mapping[str, str]) -> str:
    return _SLOT.sub(lambda slot: values[slot[1]], sentence)


def _values(meaning: _Meaning, rng: random.Random) -> dict[str, str]:
    return {slot: rng.choice(_VALUES[slot]).replace("-", " ") for slot in meaning.slots()}


def _same(meaning: _Meaning, rng: random.Random) -> Pair:
    values = _values(meaning, rng)
    side = rng.choice([side for side in (meaning.same, meaning.opposite) if len(side) > 1])
    one, other = rng.sample(side, 2)
    return _filled(one, values), _filled(other, values), 1


def _look_alike(meaning: _Meaning, rng: random.Random) -> Pair:
    values = _values(meaning, rng)
    one, other = rng.choice(meaning.same), rng.choice(meaning.opposite + meaning.other)
    return _filled(one, values), _filled(other, values), 0


def _other_value(meaning: _Meaning, rng: random.Random) -> Pair | None:
    values = _values(meaning, rng)
    one, other = rng.choice(meaning.same), rng.choice(meaning.same)
    shared = sorted(set(_SLOT.findall(one)) & set(_SLOT.findall(other)))
    if not shared:
        return None
    slot = rng.choice(shared)
    choices = [value for value in _VALUES[slot] if value.replace("-", " ") != values[slot]]
    changed = values | {slot: rng.choice(choices).replace("-", " ")}
    return _filled(one, values), _filled(other, changed), 0


def _told(sentence: str, rng: random.Random) -> str:
    """Return the sentence as someone may write it: with a full stop or not, in small letters."""
    ways: tuple[Callable[[str], str], ...] = (
        lambda text: text,
        lambda text: text[0].upper() + text[1:],
        lambda text: text if text.endswith("?") else text + ".",
        str.lower,
    )
    return rng.choice(ways)(sentence)
