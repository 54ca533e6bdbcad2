"""Definitions of Webster's dictionary of 1913, whose text is in the public domain.

Reads the file that the Debian package ``dict-gcide`` installs. That collection adds entries of
other dictionaries; only what it marks as of 1913 is taken.
"""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

from edge_embed.errors import InputError

__all__ = ["webster_definitions"]

_ENTRY = re.compile(r"\n\n(?=[A-Za-z][\w -]* \\)")
_HEAD = re.compile(r"([A-Za-z][a-z-]+) \\[^\\]*\\(?: ?\(.*?\))?,? *(n|v|a|adv)\b\.?(?: [it]\.)*")
_BRACKETS = re.compile(r"\[[^\[\]]*\]")
_MARK = "[1913 Webster]"
_SEVERAL = re.compile(r"(?:^| )(?:[1-9]\.|\([a-z]\)) ")
_END = re.compile(r"; as, |; -- |\. |\.$| --|; -|; called | Cf\.| See ")
_FEWEST_WORDS, _MOST_WORDS = 4, 45


def webster_definitions(file: Path) -> Iterator[tuple[str, str, str]]:
    """Yield word, part of speech (n, v, a or r) and definition of the words with one meaning.

    Raises:
        InputError: there is no such file, or it has no such entry.
    """
    if not file.is_file():
        raise InputError(f"there is no file {file}; Debian's dict-gcide has gcide.dict.dz")
    text = gzip.decompress(file.read_bytes()).decode("utf-8", "replace")
    found = 0
    for entry in _ENTRY.split(text):
        if entry.count(_MARK) != 1:
            continue
        flat = " ".join(entry.split())
        while flat != (bare := _BRACKETS.sub("", flat)):
            flat = bare
        head = _HEAD.match(flat)
        if head is None or _SEVERAL.search(flat):
            continue
        definition = _END.split(flat[head.end() :].strip(" ;,."))[0]
        definition = " ".join(definition.replace("{", "").replace("}", "").split())
        if _FEWEST_WORDS <= len(definition.split()) <= _MOST_WORDS and definition[0].isupper():
            found += 1
            yield head[1].lower(), head[2].replace("adv", "r"), definition
    if not found:
        raise InputError(f"{file} has no entries of Webster's dictionary of 1913")
