"""Documents of a folder: their texts without markup, and which files they are."""

from pathlib import Path

import pytest

from edge_embed.errors import InputError
from edge_embed.files.folder_texts import FolderFile, folder_files
from edge_embed.files.markup import html_text, markdown_text

PAGE = """<!doctype html><html><head><title>Opening &amp; closing</title>
<style>p { color: red }</style><script>if (1 < 2) { "<p>no</p>" }</script></head>
<body><h1>Hours</h1><p>We open at <b>ni</b>ne,
every   day.</p><!-- not this --><ul><li>Sunday<li>Monday</ul>
<table><tr><td>one</td><td>two</td></tr></table><svg><text>shape</text></svg>after</body></html>"""

NOTES = """---
title: facts
---
# Opening *hours* #

We open at **nine**, see [the `list`](http://x/y) and ![a map](map.png).
<!-- not
this --> snake_case_name stays, 2 * 3 * 4 too.

> quoted _well_

| Day | Hour |
|-----|:----:|
| Sunday | ten |

```python
print("code")
```
- one
- two

[ref]: http://x
"""


def test_the_text_of_a_page() -> None:
    assert html_text(PAGE).split("\n\n") == [
        "Opening & closing",
        "Hours",
        "We open at nine, every day.",
        "Sunday",
        "Monday",
        "one two",
        "after",
    ]
    assert html_text("no markup at all < 3") == "no markup at all < 3"
    assert html_text("") == html_text("<script>never closed") == ""
    assert html_text("a<br>b</style>c<p/>d") == "a\n\nbc\n\nd"


def test_the_text_of_markdown() -> None:
    assert markdown_text(NOTES).split("\n\n") == [
        "Opening hours",
        "We open at nine, see the list and a map.\nsnake_case_name stays, 2 * 3 * 4 too.",
        "quoted well",
        "Day Hour",
        "Sunday ten",
        'print("code")',
        "- one\n- two",
    ]
    assert markdown_text("") == ""
    assert markdown_text("--- \nno end of this") == "no end of this"


@pytest.mark.parametrize(
    "source",
    [
        "[" * 50_000,
        "*" * 50_000 + "x",
        "#" * 50_000 + "x",
        "<!--" * 50_000,
        "-" * 50_000 + "x",
        "_a" * 50_000,
        "![](" * 20_000,
        "> " * 50_000,
    ],
)
def test_no_input_takes_long(source: str) -> None:
    markdown_text(source)  # the suite's time limit is the judge
    html_text(source[:5_000])  # the standard library's parser is its own matter


def write(folder: Path, name: str, content: bytes) -> FolderFile:
    (folder / name).write_bytes(content)
    return FolderFile(name, folder / name)


def test_encodings(tmp_path: Path) -> None:
    page = '<meta charset="iso-8859-1"><p>caf\xe9</p>'
    assert write(tmp_path, "a.html", page.encode("latin-1")).read()[0] == "café"
    assert write(tmp_path, "b.html", page.encode("utf-8-sig")).read()[0] == "café"
    for odd in ("utf-16", "none-such", "base64", "utf-8"):
        page = f'<meta charset="{odd}"><p>café</p>'
        assert write(tmp_path, "c.html", page.encode()).read()[0] == "café"
    assert write(tmp_path, "d.txt", "café\r\nend\n".encode("utf-16")).read()[0] == "café\nend"
    with pytest.raises(InputError, match=r"e\.txt, line 1: not UTF-8"):
        write(tmp_path, "e.txt", b"caf\xe9").read()
    with pytest.raises(InputError, match=r"f\.html is not ascii"):
        write(tmp_path, "f.html", b'<meta charset="ascii">caf\xe9').read()
    file = write(tmp_path, "g.md", b"one")
    before = file.hash()
    assert before == file.read()[1]
    file.path.write_bytes(b"two")
    assert file.hash() != before


def test_which_files(tmp_path: Path) -> None:
    (tmp_path / "b" / ".hidden").mkdir(parents=True)
    names = ["b/x.md", "a.TXT", "c.html", "b/.hidden/no.md", ".no.txt", "b/no.pdf"]
    for name in names:
        (tmp_path / name).write_text("text")
    (tmp_path / "link.md").symlink_to(tmp_path / "b" / "x.md")
    (tmp_path / "linked").symlink_to(tmp_path / "b")
    assert [file.name for file in folder_files(tmp_path)] == ["a.TXT", "c.html", "b/x.md"]
    for wrong in (tmp_path / "none", tmp_path / "a.TXT"):
        with pytest.raises(InputError, match="is no folder"):
            list(folder_files(wrong))
