"""Labelled pairs from templates: active and passive, comparisons, giving and receiving, orders.

The roles of the words are known from the template, where running text would have to be parsed.
"""

import random
from collections.abc import Callable

from edge_embed_conversion.pairs.lexicon import words

__all__ = ["template_pairs"]

Pair = tuple[str, str, int]

_PEOPLE = words(
    "Anna Ben Carla David Emma Frank Grace Henry Ines Jack Karen Liam Maria Noah Olga Paul Rosa "
    "Sam Tina Victor"
)
_ROLES = words(
    "teacher doctor lawyer manager driver nurse student neighbor customer engineer waiter "
    "president minister coach player singer director author bank company university team court "
    "police government committee union hospital airline supplier landlord tenant"
)
_VERBS = (
    ("hire", "hires", "hired", "hired"), ("sue", "sues", "sued", "sued"),
    ("praise", "praises", "praised", "praised"), ("call", "calls", "called", "called"),
    ("help", "helps", "helped", "helped"), ("visit", "visits", "visited", "visited"),
    ("see", "sees", "saw", "seen"), ("pay", "pays", "paid", "paid"),
    ("beat", "beats", "beat", "beaten"), ("blame", "blames", "blamed", "blamed"),
    ("follow", "follows", "followed", "followed"), ("invite", "invites", "invited", "invited"),
    ("train", "trains", "trained", "trained"), ("trust", "trusts", "trusted", "trusted"),
    ("attack", "attacks", "attacked", "attacked"), ("defeat", "defeats", "defeated", "defeated"),
    ("support", "supports", "supported", "supported"),
    ("criticise", "criticises", "criticised", "criticised"), ("leave", "leaves", "left", "left"),
    ("choose", "chooses", "chose", "chosen"), ("warn", "warns", "warned", "warned"),
)  # fmt: skip
_ACTS = (
    ("write", "writes", "wrote", "written"), ("paint", "paints", "painted", "painted"),
    ("repair", "repairs", "repaired", "repaired"), ("buy", "buys", "bought", "bought"),
    ("sell", "sells", "sold", "sold"), ("build", "builds", "built", "built"),
    ("design", "designs", "designed", "designed"), ("find", "finds", "found", "found"),
    ("steal", "steals", "stole", "stolen"), ("open", "opens", "opened", "opened"),
    ("clean", "cleans", "cleaned", "cleaned"), ("cancel", "cancels", "cancelled", "cancelled"),
    ("sign", "signs", "signed", "signed"), ("check", "checks", "checked", "checked"),
    ("approve", "approves", "approved", "approved"), ("send", "sends", "sent", "sent"),
)  # fmt: skip
_THINGS = words(
    "report house car contract letter bridge machine order invoice ticket door window engine "
    "parcel painting file account book programme kitchen"
)
_COMPARED = (
    ("bigger", "smaller"), ("older", "younger"), ("faster", "slower"), ("cheaper", "dearer"),
    ("taller", "shorter"), ("stronger", "weaker"), ("richer", "poorer"), ("heavier", "lighter"),
    ("better", "worse"), ("more popular", "less popular"), ("more useful", "less useful"),
    ("more expensive", "less expensive"), ("safer", "more dangerous"), ("higher", "lower"),
)  # fmt: skip
_GIVING = (
    ("gave", "got", "from"), ("sold", "bought", "from"), ("lent", "borrowed", "from"),
    ("sent", "received", "from"), ("taught", "learned", "from"),
)  # fmt: skip
_AFTER = (" in 2009", " last week", " on Friday", " twice", " again", *[""] * 6)


def _someone(rng: random.Random) -> tuple[str, str]:
    if rng.random() < 0.5:
        one, other = rng.sample(_PEOPLE, 2)
        return one, other
    one, other = rng.sample(_ROLES, 2)
    return f"the {one}", f"the {other}"


def _passive(rng: random.Random) -> list[Pair]:
    one, other = _someone(rng)
    _, now, past, participle = rng.choice(_VERBS)
    tail = rng.choice(_AFTER)
    if rng.random() < 0.5:
        active, be = past, "was"
    else:
        active, be = now, "is"
    base = f"{one} {active} {other}{tail}"
    return [
        (base, f"{other} {be} {participle} by {one}{tail}", 1),
        (base, f"{one} {be} {participle} by {other}{tail}", 0),
        (base, f"{other} {active} {one}{tail}", 0),
        (f"{one} {be} {participle} by {other}{tail}", f"{other} {active} {one}{tail}", 1),
        (base, f"it was {one} who {active} {other}{tail}", 1),
        (base, f"it was {other} who {active} {one}{tail}", 0),
        (base, f"{one} {be} not {participle} by {other}{tail}", 0),
    ]


def _act(rng: random.Random) -> list[Pair]:
    one, other = _someone(rng)
    plain, _, past, participle = rng.choice(_ACTS)
    thing, second = rng.sample(_THINGS, 2)
    tail = rng.choice(_AFTER)
    base = f"{one} {past} the {thing}{tail}"
    passive = f"the {thing} was {participle} by {one}{tail}"
    question = f"did {one} {plain} the {thing}{tail}?"
    return [
        (base, passive, 1),
        (base, f"the {second} was {participle} by {one}{tail}", 0),
        (passive, f"{other} {past} the {thing}{tail}", 0),
        (passive, f"the {thing} was not {participle} by {one}{tail}", 0),
        (base, f"{one} did not {plain} the {thing}{tail}", 0),
        (question, f"was the {thing} {participle} by {one}{tail}?", 1),
        (question, f"was the {thing} {participle} by {other}{tail}?", 0),
        (base, f"{one} has {participle} the {thing}{tail}", 1),
    ]


def _compared(rng: random.Random) -> list[Pair]:
    one, other = _someone(rng)
    more, less = rng.choice(_COMPARED)
    if rng.random() < 0.5:
        more, less = less, more
    base = f"{one} is {more} than {other}"
    return [
        (base, f"{other} is {less} than {one}", 1),
        (base, f"{one} is {less} than {other}", 0),
        (base, f"{other} is {more} than {one}", 0),
        (base, f"compared with {other}, {one} is {more}", 1),
        (base, f"compared with {one}, {other} is {more}", 0),
        (base, f"{one} is not {more} than {other}", 0),
    ]


def _given(rng: random.Random) -> list[Pair]:
    one, other = _someone(rng)
    gave, got, way = rng.choice(_GIVING)
    thing = rng.choice(_THINGS)
    tail = rng.choice(_AFTER)
    base = f"{one} {gave} the {thing} to {other}{tail}"
    return [
        (base, f"{one} {gave} {other} the {thing}{tail}", 1),
        (base, f"{other} {got} the {thing} {way} {one}{tail}", 1),
        (base, f"{one} {got} the {thing} {way} {other}{tail}", 0),
        (base, f"{other} {gave} the {thing} to {one}{tail}", 0),
        (base, f"{other} {gave} {one} the {thing}{tail}", 0),
        (base, f"the {thing} was {_participle(gave)} to {other} by {one}{tail}", 1),
        (base, f"the {thing} was {_participle(gave)} to {one} by {other}{tail}", 0),
    ]


def _participle(past: str) -> str:
    return {"gave": "given"}.get(past, past)


def _ordered(rng: random.Random) -> list[Pair]:
    one, other = _someone(rng)
    past, second = (rng.choice(_ACTS)[2] for _ in range(2))
    thing = rng.choice(_THINGS)
    base = f"{one} {past} the {thing} before {other} {second} it"
    return [
        (base, f"{other} {second} the {thing} after {one} {past} it", 1),
        (base, f"{one} {past} the {thing} after {other} {second} it", 0),
        (base, f"before {other} {second} the {thing}, {one} {past} it", 1),
        (base, f"before {one} {past} the {thing}, {other} {second} it", 0),
    ]


def _moved(rng: random.Random) -> list[Pair]:
    one, other = rng.sample(
        words("Berlin London Paris Rome Madrid Oslo Boston Texas Kenya Japan"), 2
    )
    thing = rng.choice(words("train flight bus road ferry ticket trip transfer journey"))
    base = f"the {thing} from {one} to {other}"
    return [
        (base, f"the {thing} to {other} from {one}", 1),
        (base, f"the {thing} from {other} to {one}", 0),
        (base, f"the {one} to {other} {thing}", 1),
        (base, f"the {other} to {one} {thing}", 0),
    ]


_MAKERS: tuple[Callable[[random.Random], list[Pair]], ...] = (
    _passive, _act, _compared, _given, _ordered, _moved,
)  # fmt: skip


def template_pairs(count: int, *, seed: int) -> list[tuple[str, str, int, str]]:
    """Return at least ``count`` pairs: sentence1, sentence2, label (0 or 1) and kind."""
    rng = random.Random(seed)  # noqa: S311 - examples, not secrets
    pairs: list[tuple[str, str, int, str]] = []
    while len(pairs) < count:
        maker = rng.choice(_MAKERS)
        made = maker(rng)
        for label in (1, 0):
            of_label = [pair for pair in made if pair[2] == label]
            one, other, _ = rng.choice(of_label)
            kind = f"template:{maker.__name__.strip('_')}"
            pairs.append((_sentence(one), _sentence(other), label, kind))
    return pairs


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith("?") else text + "."
