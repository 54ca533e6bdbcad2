"""The OpenAPI document, generated from the endpoints, and an HTML page of it."""

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from edge_embed import __version__
from edge_embed.server.endpoint import Endpoint
from edge_embed.server.errors import STATUSES, OllamaError, OpenAIErrorBody, Protocol, TeiError

__all__ = ["openapi_document", "reference_page"]

_ERRORS: dict[Protocol, type] = {
    "openai": OpenAIErrorBody,
    "tei": TeiError,
    "ollama": OllamaError,
}

# The statuses besides 200 that any POST may be answered with.
_POST_PROBLEMS = (400, 401, 404, 408, 413, 415, 422, 429, 500, 503)


def openapi_document(endpoints: Sequence[Endpoint], root_path: str = "") -> dict[str, Any]:
    """Return the description of all endpoints, OpenAPI 3.1."""
    types: list[Any] = [*_ERRORS.values()]
    bodies_and_answers = [kind for e in endpoints for kind in (e.body, e.answer)]
    types += [kind for kind in bodies_and_answers if kind is not None]
    schemas, components = msgspec.json.schema_components(
        types, ref_template="#/components/schemas/{name}"
    )
    schema_of = dict(zip(map(id, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}

    def problem(status: int, text: str, protocol: Protocol) -> dict[str, Any]:
        schema = schema_of[id(_ERRORS[protocol])]
        answer = {"description": text, "content": {"application/json": {"schema": schema}}}
        if status == 429:
            answer["headers"] = {
                "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}
            }
        return answer

    for endpoint in endpoints:
        content: dict[str, Any] = {"schema": {"type": "string"}}
        if endpoint.answer is not None:
            content = {"schema": schema_of[id(endpoint.answer)]}
        kind = endpoint.media_type.partition(";")[0]
        responses = {"200": {"description": "Done.", "content": {kind: content}}}
        responses |= {
            str(status): problem(status, text, endpoint.protocol)
            for status, text in _problems(endpoint).items()
        }
        method = endpoint.method.lower()
        operation: dict[str, Any] = {
            "summary": endpoint.summary,
            "operationId": f"{method}{endpoint.path.replace('/', '_')}",
            "responses": responses,
        }
        if endpoint.body is not None:
            body = {"schema": schema_of[id(endpoint.body)], "example": dict(endpoint.example)}
            operation["requestBody"] = {"required": True, "content": {"application/json": body}}
        if endpoint.without_key:
            operation["security"] = []
        paths.setdefault(endpoint.path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "edge-embed",
            "version": __version__,
            "description": "Sentence embeddings: OpenAI's protocol, text-embeddings-inference's, "
            "and similarity, near-duplicates and search.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        # Relative to this document, so that it is right with a proxy's path prefix too.
        "servers": [{"url": root_path or "."}],
        "security": [{}, {"key": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _problems(endpoint: Endpoint) -> Mapping[int, str]:
    """Return the statuses besides 200 of an endpoint, with descriptions."""
    if endpoint.body is not None:
        return {status: STATUSES[status] for status in _POST_PROBLEMS}
    of_key = {} if endpoint.without_key else {401: STATUSES[401]}
    return of_key | dict(endpoint.problems)


def reference_page(document: dict[str, Any]) -> str:
    """Return the document as a self-contained HTML page."""
    parts = []
    root = document["servers"][0]["url"].removeprefix(".")
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2><code>{method.upper()} {html.escape(path)}</code></h2>")
            parts.append(f"<p>{html.escape(operation['summary'])}</p>")
            if "requestBody" in operation:
                content = operation["requestBody"]["content"]["application/json"]
                body = json.dumps(content["example"])
                parts.append(
                    "<pre>curl http://127.0.0.1:8080"
                    + html.escape(root)
                    + html.escape(f"{path} --json '{body}'")
                    + "</pre>"
                )
            parts.append("<table>")
            parts += [
                f"<tr><td>{status}</td><td>{html.escape(answer['description'])}</td></tr>"
                for status, answer in operation["responses"].items()
            ]
            parts.append("</table>")
    return _PAGE.replace("BODY", "\n".join(parts))


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>edge-embed: HTTP reference</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem }
h2 { font-size: 1rem; margin: 2rem 0 0; border-top: 1px solid #8886; padding-top: 1rem }
pre { overflow-x: auto; background: #8882; padding: .6rem }
td { padding: 0 1rem 0 0; vertical-align: top; font-size: .85rem }
</style>
<h1>edge-embed: HTTP reference</h1>
<p>Types in full: <a href="openapi.json">openapi.json</a> (OpenAPI 3.1).</p>
BODY
</html>
"""
