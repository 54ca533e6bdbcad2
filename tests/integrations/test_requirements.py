"""What adapters say where their library is missing or another than the tested one."""

import re
from importlib import metadata
from pathlib import Path

import pytest

from edge_embed.errors import MissingExtraError
from edge_embed.integrations.requirements import REQUIREMENTS, requires
from edge_embed.integrations.role_encoder import RoleEncoder

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def test_a_missing_library_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", nothing)
    with (
        pytest.raises(MissingExtraError, match=r"'chromadb': pip install 'edge-embed\[chroma\]'"),
        requires("chroma"),
    ):
        raise AssertionError


def test_an_old_library_is_told_which_is_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda package: "1.0.9rc1")
    with (
        pytest.raises(MissingExtraError, match=r"langchain-core>=1.8 \(1.0.9rc1 is installed\)"),
        requires("langchain"),
    ):
        raise AssertionError


def test_a_library_that_lacks_a_name_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda package: "2.0")
    with (
        pytest.raises(MissingExtraError, match=r"as of 1.8 \(2.0 is installed: cannot import name"),
        requires("langchain"),
    ):
        from json import gone  # type: ignore[attr-defined]  # noqa: F401


def test_the_extras_ask_for_what_is_tested() -> None:
    text = PYPROJECT.read_text(encoding="utf-8")
    extras = text.partition("[project.optional-dependencies]")[2].partition("[dependency-groups]")[
        0
    ]
    for extra, need in REQUIREMENTS.items():
        assert re.search(rf'^{extra} = \["{need.package}>={need.tested}"', extras, re.M), extra


def test_adapters_share_one_loaded_model() -> None:
    first, second = RoleEncoder("edge-embed-albert"), RoleEncoder("edge-embed-albert", dim=8)
    assert first.embedder is second.embedder
    assert RoleEncoder("edge-embed-albert", hint="latency").embedder is not first.embedder
    assert RoleEncoder(first.embedder).settings["model"] == "edge-embed-albert"
    again = RoleEncoder(**RoleEncoder(first.embedder, dim=8).settings)
    assert again.documents(["a"]).shape == (1, 8)


def test_queries_and_documents_get_the_models_prompts(shipped: object) -> None:
    encoder = RoleEncoder()
    seen: list[str] = []

    class Spy:
        dim = encoder.dim

        def encode_query(self, texts: list[str], **options: object) -> list[list[float]]:
            seen.append(f"query {texts} {options['normalize_embeddings']}")
            return [[1.0]]

        def encode_document(self, texts: list[str], **options: object) -> list[list[float]]:
            seen.append(f"document {texts} {options['normalize_embeddings']}")
            return [[1.0]]

    encoder.embedder = Spy()  # type: ignore[assignment]
    encoder.queries(["a"])
    encoder.documents(("b",))
    assert seen == ["query ['a'] True", "document ['b'] True"]
