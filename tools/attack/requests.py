"""Hostile requests: wild values at every path, and bodies that are legal and ask for much."""

import json
import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from edge_embed.server.app import ENDPOINTS

__all__ = ["JSON", "Request", "hostile_request"]

JSON = {"Content-Type": "application/json"}

_EXAMPLES = {each.path: dict(each.example) for each in ENDPOINTS if each.method == "POST"}
_BROKEN = [b"", b"{", b"[" * 100_000, b"NaN", b"null", b"\xff\xfe", b"\xef\xbb\xbf{}"]
_BROKEN += [b'{"inputs": 1e999}', b'{"input": "\\ud83d"}', b'{"a":' * 2000, b"9" * 5000]
_HEADERS: list[dict[str, str]] = [
    {"Host": "evil.example"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Connection": "Upgrade", "Upgrade": "h2c"},
    {"Content-Encoding": "gzip"},
    {"Content-Type": "text/plain"},
    {"Expect": "100-continue"},
    {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"},
]
# Other sites and other names must never be answered.
_REFUSED = ("Host", "Sec-Fetch-Site")


class Request(NamedTuple):
    """One request."""

    kind: str
    path: str
    body: bytes
    headers: Mapping[str, str] = JSON

    @property
    def must_be_refused(self) -> bool:
        """Whether an answer would be a fault."""
        return any(name in self.headers for name in _REFUSED)


def hostile_request(chance: random.Random) -> Request:
    """Return a request at random."""
    path = chance.choice(list(_EXAMPLES))
    kind = chance.choices(list(_KINDS), [6, 6, 1, 2, 2])[0]
    return _KINDS[kind](chance, path)


def _wild(chance: random.Random, path: str) -> Request:
    """Exchange or add fields of a sound body."""
    document: dict[str, Any] = dict(_EXAMPLES[path])
    for name in chance.sample(list(document), chance.randrange(1, len(document) + 1)):
        document[name] = _value(chance)
    if chance.random() < 0.5:
        document[chance.choice(_FIELDS)] = _value(chance)
    return Request("wild values", path, json.dumps(document).encode())


_FIELDS = [
    *("where", "k", "dimensions", "model", "prompt_name", "hybrid", "truncate", "threshold"),
    *("encoding_format", "normalize", "top_n", "ids", "others", "pair_scores", "options"),
]


def _value(chance: random.Random, depth: int = 0) -> Any:  # noqa: ANN401
    kinds: list[Callable[[], Any]] = [
        lambda: chance.choice([None, True, -1, 2**63, 2**70, 1e300, "", "\0", "word", "a\ud800"]),
        lambda: "word " * 10 ** chance.randrange(1, 6),
        lambda: "x" * 10 ** chance.randrange(1, 6),
        lambda: ["word"] * 10 ** chance.randrange(1, 4),
        lambda: {"n": chance.choice([1, "x", None, 2**70, [1, 2], {"$gt": 1}, float("nan")])},
        lambda: list(range(10 ** chance.randrange(1, 4))),
        lambda: [_value(chance, depth + 1) for _ in range(chance.randrange(4) if depth < 3 else 0)],
    ]
    return chance.choice(kinds)()


def _random_text(chance: random.Random, _: str) -> Request:
    """Ask for one text of random characters of all of Unicode, surrogates too."""
    text = "".join(chr(chance.randrange(1, 0x11000)) for _ in range(chance.randrange(1, 400)))
    path, field = chance.choice(
        [("/embed", "inputs"), ("/v1/embeddings", "input"), ("/v1/search", "query")]
    )
    return Request("random characters", path, json.dumps({field: text}).encode())


def _broken(chance: random.Random, path: str) -> Request:
    return Request("no JSON", path, chance.choice(_BROKEN))


def _strange_headers(chance: random.Random, path: str) -> Request:
    headers = {**JSON, **chance.choice(_HEADERS)}
    return Request("headers", path, json.dumps(_EXAMPLES[path]).encode(), headers)


def _heavy(chance: random.Random, _: str) -> Request:
    words = " ".join(f"w{n}" for n in range(chance.randrange(10, 3000)))
    bodies: list[tuple[str, Callable[[], dict[str, Any]]]] = [
        ("/tokenize", lambda: {"inputs": "word " * 1_500_000}),
        ("/tokenize", lambda: {"inputs": ["word " * 100] * 2048}),
        ("/embed_all", lambda: {"inputs": ["word " * 200] * 500, "truncate": True}),
        ("/embed", lambda: {"inputs": ["word " * 800_000] * 2, "truncate": True}),
        ("/v1/embeddings", lambda: {"input": [f"{n} word " * 100 for n in range(500)]}),
        ("/v1/search", lambda: {"query": ["word"] * 1024, "k": 1000}),
        ("/v1/search", lambda: {"query": [f"w{n}" for n in range(1000)], "k": 10}),
        ("/v1/search", lambda: {"query": words, "hybrid": True, "k": 100}),
        ("/v1/search", lambda: {"query": "word " * 1000, "hybrid": True, "k": 10_000}),
        ("/v1/search", lambda: {"query": "w", "where": {f"n{n}": n for n in range(100_000)}}),
        ("/v1/similarity", lambda: {"texts": ["word"] * 2048}),
        ("/v1/dedup", lambda: {"texts": [f"text {n}" for n in range(2048)]}),
        ("/v1/pairs", lambda: {"pairs": [["word " * 1000, "other " * 1000]] * 500}),
        ("/decode", lambda: {"ids": [[7] * 1000] * 1000}),
        ("/embed", lambda: {"inputs": "word", "prompt_name": "p" * 7_000_000}),
    ]
    path, body = chance.choice(bodies)
    return Request("much at once", path, json.dumps(body()).encode())


_KINDS: dict[str, Callable[[random.Random, str], Request]] = {
    "wild values": _wild,
    "random characters": _random_text,
    "no JSON": _broken,
    "headers": _strange_headers,
    "much at once": _heavy,
}
