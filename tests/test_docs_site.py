"""The documentation: the references hold everything, and what pages name is there."""

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import edge_embed
from edge_embed.cli import main
from edge_embed.server.app import ENDPOINTS
from tools.docs_site import commands, http_api, python_api

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    file.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "models/**/README.md", "benchmarks/README.md")
    for file in ROOT.glob(pattern)
)
GENERATED = {"commands", "http", *python_api.DOCUMENTS}


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def test_every_command_is_in_the_reference() -> None:
    document = commands.document()
    paths = [context.command_path for context in commands.commands()]
    assert {f"edge-embed {name}" for name in main.list_commands(click.Context(main))} <= {*paths}
    assert "edge-embed index add" in paths
    for path in paths:
        assert f"\n## {path}\n\n```text\nUsage: {path} " in document
    assert "--threshold" in document


@pytest.mark.parametrize("module", ["edge_embed", "edge_embed.tasks", "edge_embed.evaluation"])
def test_every_public_name_is_in_the_reference(module: str) -> None:
    pages = "".join(made() for made in python_api.DOCUMENTS.values())
    for name in importlib.import_module(module).__all__:
        assert f"\n::: {module}.{name}\n" in pages


def test_every_adapter_is_in_the_reference() -> None:
    page = python_api.DOCUMENTS["adapters"]()
    modules = python_api.adapters()
    assert {f"edge_embed.integrations.{name}" for name in ("langchain", "chroma")} <= {*modules}
    for module in modules:
        assert python_api.public_names(module), module
        assert f"\n::: {module}\n" in page


def test_every_path_and_type_of_the_server_is_in_the_reference() -> None:
    document = http_api.document()
    for endpoint in ENDPOINTS:
        assert f"\n## {endpoint.method} {endpoint.path}\n" in document
    links, anchors = set(re.findall(r"\(#(.*?)\)", document)), re.findall(r"\{#(.*?)\}", document)
    assert links <= set(anchors)
    assert len(anchors) == len(set(anchors)) > 20


def test_the_site_has_every_page() -> None:
    """And no other: mkdocs itself is not needed for this."""
    nav = set(re.findall(r"\S+\.md$", read("tools/docs_site/mkdocs.yml"), re.M))
    assert nav == {*PAGES, *(f"docs/reference/{name}.md" for name in GENERATED)}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", read(page)):
        assert (ROOT / page).parent.joinpath(link).exists(), link


def calls(text: str) -> Iterator[str]:
    """Yield what stands behind ``edge-embed`` in code blocks, and in code within a line."""
    for block in re.findall(r"^```(?:bash)?\n(.*?)^```", text, re.M | re.S):
        joined = re.sub(r"\s*\\\n\s*", " ", block)
        yield from re.findall(r"(?:^|&& |\.venv/bin/|-m )edge-embed ([^&|\n]*)", joined, re.M)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    yield from re.findall(r"`(?:\.venv/bin/)?edge-embed ([^`|]*)", prose)


def problem(call: str) -> str | None:
    """Say what is wrong with the command and the names of its options."""
    words = shlex.split(re.sub(r"[\[\]…\\]", " ", call), comments=True)
    command: click.Command = main
    context = click.Context(main)
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        inner = command.get_command(context, words[0])
        if inner is None:  # one of its arguments, as in `bench latency`
            break
        command = inner
        words.pop(0)
    if command is main and words and not words[0].startswith("-"):
        return f"no command {words[0]!r}"
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    known |= {"-h", "--help", "--version", "--debug", "--"}
    for word in words:
        name = word.partition("=")[0]
        if re.match(r"--?[a-z]", name) and name not in known:
            return f"{command.name} has no option {name}"
    return None


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_commands_in_documents_have_the_options_that_they_show(page: str) -> None:
    for call in calls(read(page)):
        assert problem(call) is None, call


def test_a_wrong_option_would_be_found() -> None:
    (call,) = calls("```bash\nedge-embed search my.index \\\n    x --nothing # y\n```\n")
    assert problem(call) == "search has no option --nothing"
    (call,) = calls("`edge-embed nothing`")
    assert problem(call) == "no command 'nothing'"


def test_edge_embed_is_documented_name_by_name() -> None:
    for name in edge_embed.__all__:
        kind = getattr(edge_embed, name)
        assert isinstance(kind, str) or kind.__doc__, name
