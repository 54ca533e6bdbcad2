"""Extract the text of HTML and Markdown, a paragraph for each block."""

import re
from html.parser import HTMLParser

__all__ = ["html_text", "markdown_text"]

# Elements whose content a browser does not show as text.
_HIDDEN = frozenset({"script", "style", "template", "noscript", "svg"})
_BLOCK_NAMES = (
    "address article aside blockquote body br caption center dd details dialog dir div dl dt "
    "fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hr html legend li "
    "main menu nav ol option p pre section select summary table tbody tfoot thead title tr ul"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_CELLS = frozenset({"td", "th"})


class _Text(HTMLParser):
    """Collects the visible text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden.append(tag)
        self._gap(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._gap(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:  # elements left open within it end too
            del self._hidden[self._hidden.index(tag) :]
        self._gap(tag)

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data.replace("\n", " "))

    def _gap(self, tag: str) -> None:
        if tag in _BLOCKS:
            self.parts.append("\n")
        elif tag in _CELLS:
            self.parts.append(" ")


def html_text(source: str) -> str:
    """Return the visible text of a page, its title first, with a blank line between blocks."""
    parser = _Text()
    parser.feed(source)
    parser.close()
    return _paragraphs("".join(parser.parts))


_INLINE = (
    (re.compile(r"!?\[([^\[\]\n]*)\]\([^()\n]*\)"), r"\1"),  # links and pictures
    (re.compile(r"!?\[([^\[\]\n]+)\]\[[^\[\]\n]*\]"), r"\1"),
    (re.compile(r"<(https?://[^<>\s]+)>"), r"\1"),
    (re.compile(r"(\*\*|__)(?=\S)([^*_\n]+)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*])([*_])(?=\S)([^*_\n]+)(?<=\S)\1(?![\w*])"), r"\2"),
    (re.compile(r"`([^`\n]+)`"), r"\1"),
)
_REFERENCE = re.compile(r"\[[^\]\n]+\]:\s*\S")


def markdown_text(source: str) -> str:
    """Return the text of a Markdown file, without the marks of emphasis, links and headings.

    List marks and line ends are kept, as they show where a sentence ends.
    """
    lines = _without_comments(source).split("\n")
    if lines[0].rstrip() == "---":  # front matter
        end = next((i for i, line in enumerate(lines[1:], 1) if line.rstrip() in _FRONT_ENDS), 0)
        lines = lines[end + 1 :] if end else lines
    kept = "\n".join(_plain(line.strip()) for line in lines)
    for pattern, instead in _INLINE:
        kept = pattern.sub(instead, kept)
    return re.sub(r"\n{3,}", "\n\n", kept).strip()


_FRONT_ENDS = ("---", "...")


def _plain(line: str) -> str:
    """Return a line without block marks: quotes, fences, rules, headings and tables."""
    while line.startswith(">"):
        line = line[1:].lstrip()
    marks = set(line)
    if line.startswith(("```", "~~~")) or _REFERENCE.match(line):
        return ""
    if len(line) > 2 and (marks <= set("|:- ") or marks in ({"="}, {"*"}, {"_"})):
        return ""  # a rule, or the line below a table's header
    if line.startswith("#") and line.lstrip("#").startswith(" "):
        return f"\n{line.strip('#').strip()}\n"
    if line.startswith("|"):
        line = " ".join(line.strip("|").replace("|", " ").split())
    return line


def _without_comments(text: str) -> str:
    parts, at = [], 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start)) >= 0:
        parts.append(text[at:start])
        at = end + len("-->")
    return "".join([*parts, text[at:]])


def _paragraphs(text: str) -> str:
    """Return lines as paragraphs with a blank line between them, white space collapsed."""
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n\n".join(line for line in lines if line)
