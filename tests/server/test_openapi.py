"""The OpenAPI document: complete, true to the answers, and no input of any shape breaks them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge_embed.server.app import ENDPOINTS
from edge_embed.server.openapi import openapi_document
from tests.support.serving import Program, program


@pytest.fixture(scope="module")
def server(tiny_model: Path, tiny_pair_model: Path) -> Iterator[Program]:
    options = ("--max-inputs", "50", "--pair-model", str(tiny_pair_model))
    with program("-m", f"tiny={tiny_model}", *options) as running:
        yield running


def test_every_path_has_a_summary_an_example_and_its_errors() -> None:
    document = openapi_document(ENDPOINTS)
    assert set(document["paths"]) >= {"/v1/embeddings", "/embed", "/metrics", "/live"}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], path
            assert "200" in operation["responses"]
            if method == "post":
                content = operation["requestBody"]["content"]["application/json"]
                assert content["example"], path
                assert {"401", "413", "422", "429", "500"} <= set(operation["responses"])
    for name in _references(document):
        assert name in document["components"]["schemas"]


def test_the_examples_work(server: Program) -> None:
    document = httpx.get(f"{server.url}/openapi.json").json()
    for path, methods in document["paths"].items():
        if "post" in methods:
            content = methods["post"]["requestBody"]["content"]["application/json"]
            answer = httpx.post(f"{server.url}{path}", json=content["example"])
            assert answer.status_code == (404 if path == "/v1/search" else 200), path


def test_schemathesis(server: Program) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    from hypothesis import HealthCheck, Phase, given, seed, settings

    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    wanted = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    for result in schema.get_all_operations():
        operation = result.ok()

        @seed(0)
        @settings(
            max_examples=30,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def examine(case: Any) -> None:
            case.call_and_validate(checks=wanted)

        examine()


def _references(value: Any) -> set[str]:
    text = json.dumps(value)
    return {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
