"""The reference of the server, made from its OpenAPI schema, which is made from its types."""

import json
from collections.abc import Mapping
from typing import Any

from edge_embed.server.app import ENDPOINTS
from edge_embed.server.openapi import openapi_document

__all__ = ["document"]

Schema = Mapping[str, Any]

_INTRODUCTION = """# HTTP

Every path of `edge-embed serve`, made from the schema that a running server gives at
`/openapi.json` and shows at `/docs`. What the protocols are for, limits and keys: [the
server](../server.md).
"""


def document() -> str:
    """Return the page."""
    schema = openapi_document(ENDPOINTS)
    parts = [_INTRODUCTION]
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            parts.append(f"\n## {method.upper()} {path}\n\n{operation['summary']}\n")
            parts.append(_request(path, operation))
            parts.append(_answers(operation))
    parts.append("\n## Types\n")
    for name, kind in schema["components"]["schemas"].items():
        parts.append(f"\n### {_short(name)} {{#{_anchor(name)}}}\n\n{kind['description']}\n\n")
        parts.append(_fields(kind))
    return "".join(parts)


def _request(path: str, operation: Schema) -> str:
    if "requestBody" not in operation:
        return f"\n```bash\ncurl http://127.0.0.1:8080{path}\n```\n"
    content = operation["requestBody"]["content"]["application/json"]
    body = json.dumps(content["example"])
    return (
        f"\n```bash\ncurl http://127.0.0.1:8080{path} --json '{body}'\n```\n"
        f"\nRequest: {_type(content['schema'])}\n"
    )


def _answers(operation: Schema) -> str:
    lines = ["\n| Status | When | Answer |\n|---|---|---|\n"]
    for status, answer in operation["responses"].items():
        ((kind, content),) = answer["content"].items()
        shown = _type(content["schema"]) if kind == "application/json" else f"`{kind}`"
        lines.append(f"| {status} | {answer['description']} | {shown} |\n")
    return "".join(lines)


def _fields(kind: Schema) -> str:
    if "properties" not in kind:
        return f"{_type(kind)}\n"
    required = set(kind.get("required", ()))
    lines = ["| Field | Type | Default |\n|---|---|---|\n"]
    for name, field in kind["properties"].items():
        default = "required" if name in required else f"`{json.dumps(field.get('default'))}`"
        lines.append(f"| `{name}` | {_type(field)} | {default} |\n")
    return "".join(lines)


def _type(schema: Schema) -> str:
    """Say a type in words, with links to those that have a name."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{_short(name)}](#{_anchor(name)})"
    for choice in ("anyOf", "oneOf"):
        if choice in schema:
            return " or ".join(_type(each) for each in schema[choice])
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(value)}`" for value in schema["enum"])
    kind = schema.get("type", "any value")
    if kind == "array":
        return f"list of ({_type(schema.get('items', {}))})"
    if kind == "object" and isinstance(schema.get("additionalProperties"), Mapping):
        return f"object of ({_type(schema['additionalProperties'])})"
    bounds = [f"{word} {schema[key]}" for key, word in _BOUNDS.items() if key in schema]
    return " ".join([str(kind), *bounds])


_BOUNDS = {
    "minimum": "from",
    "exclusiveMinimum": "above",
    "maximum": "to",
    "minLength": "of at least",
    "maxLength": "of at most",
}


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _anchor(name: str) -> str:
    return name.replace("edge_embed.server.api.", "").replace(".", "-").lower()
