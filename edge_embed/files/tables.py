"""Tables as text (.csv, .tsv): find the separator, and check the number of fields of each row.

.csv is RFC 4180. In much of Europe programs write semicolons instead of commas, and Excel states
the separator in a first line such as ``sep=;``. It is taken from there, or else from the header and
the first rows; if they allow several, the file is refused.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from edge_embed.errors import InputError

__all__ = ["table_rows"]

_SEPARATORS = (",", ";", "\t", "|")
_NAMES = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}

# Number of lines in which the separator is looked for.
_SEEN_LINES = 50


def table_rows(lines: Iterator[str], name: str, *, tabs: bool) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, fields) of each row, the header first.

    Args:
        lines: The lines of the file, with their line ends.
        name: The file's name in errors.
        tabs: IANA's text/tab-separated-values: separated by tabs, without quoting.

    Raises:
        InputError: a row has another number of fields than the header, a quote is not closed, or
            the separator is ambiguous.
    """
    csv.field_size_limit(1 << 30)
    skipped = 0
    if tabs:
        rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    else:
        seen = list(islice(lines, _SEEN_LINES))
        separator = _announced(seen[0]) if seen else None
        if separator is not None:
            skipped = 1
        whole = len(seen) < _SEEN_LINES
        separator = separator or _separator(seen, name, whole=whole)
        rows = csv.reader(chain(seen[skipped:], lines), delimiter=separator, strict=True)
    width = 0
    try:
        for row in rows:
            if not row and width != 0:  # a blank line, as at the end of many files
                continue
            if not row:
                return
            if width and len(row) != width:
                raise InputError(
                    f"{name}, line {rows.line_num + skipped}: {len(row)} fields, the header has "
                    f"{width}"
                )
            width = width or len(row)
            yield rows.line_num + skipped, row
    except csv.Error as error:
        raise InputError(f"{name}, line {rows.line_num + skipped}: {_fault(error)}") from None


def _fault(error: csv.Error) -> str:
    """Return what is wrong, for the two errors that csv words for programmers."""
    said = str(error)
    if "new-line character" in said:
        return "a carriage return outside quotes: end lines with a line feed (tr '\\r' '\\n')"
    if said == "unexpected end of data":
        return "the file ends within quotes: close the quotation mark that is open"
    return said


def _announced(line: str) -> str | None:
    """Return the separator that a first line such as ``sep=;`` states; None for another line."""
    match = re.fullmatch(r'"?sep=(.)"?', line.rstrip("\r\n"), re.IGNORECASE)
    return match[1] if match else None


def _separator(lines: Sequence[str], name: str, *, whole: bool) -> str:
    """Return the separator: a comma, unless only another one splits all lines into columns.

    ``whole`` tells whether ``lines`` are all lines of the file.
    """
    widths = {separator: _widths(lines, separator, whole=whole) for separator in _SEPARATORS}
    several = [s for s, found in widths.items() if found and found[0] > 1]
    even = [s for s in several if len(set(widths[s])) == 1]
    if "," in even or not several or several == [","]:
        if len(even) > 1:
            named = " and ".join(_NAMES[separator] for separator in even)
            raise InputError(
                f"{name}: its columns may be separated by {named}: put 'sep=,' (or the other one) "
                "into a line before the header"
            )
        return ","
    if len(even) == 1:
        return even[0]
    if "," in several:
        return ","  # the row with another number of fields is reported when it is read
    raise InputError(
        f"{name}: its columns seem to be separated by {_NAMES[several[0]]}, but not every line has "
        f"as many as the first: save it with commas, or put 'sep={several[0]}' into a line before "
        "the header"
    )


def _widths(lines: Sequence[str], separator: str, *, whole: bool) -> list[int]:
    """Return the number of fields of each row; [] if the lines are no table with this separator."""
    rows = csv.reader(lines, delimiter=separator, strict=True)
    widths: list[int] = []
    try:
        widths += (len(row) for row in rows if row)
    except csv.Error:
        # A quote that is open at the end of these lines may be closed in a later line.
        return widths if widths and not whole and rows.line_num == len(lines) else []
    return widths
