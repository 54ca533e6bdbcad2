"""The application: every path, put together."""

import json

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from edge_embed.server import openai, tei, uses
from edge_embed.server.door import Answer, Door
from edge_embed.server.endpoint import Endpoint
from edge_embed.server.openapi import openapi_document, reference_page
from edge_embed.server.operations import RESOURCES, Resource
from edge_embed.server.page import html_response, playground
from edge_embed.server.service import Service

__all__ = ["ENDPOINTS", "create_app"]

ENDPOINTS = [*openai.ENDPOINTS, *tei.ENDPOINTS, *uses.ENDPOINTS]


def create_app(service: Service, *, page: bool = True) -> ASGIApp:
    """Return the ASGI application of a service.

    Args:
        service: Its models; whoever runs the application starts and closes it.
        page: Serve the page at /.
    """
    document = openapi_document(ENDPOINTS, RESOURCES)
    paths: dict[str, dict[str, Answer]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})["POST"] = _post(endpoint, service)
    for resource in RESOURCES:
        paths.setdefault(resource.path, {})["GET"] = _get(resource, service)
    schema = Response(json.dumps(document), media_type="application/json")
    paths["/openapi.json"] = {"GET": _fixed(schema)}
    paths["/docs"] = {"GET": _fixed(html_response(reference_page(document)))}
    if page:
        paths["/"]["GET"] = _fixed(playground())
    return Door(service, paths)


def _post(endpoint: Endpoint, service: Service) -> Answer:
    async def answer(request: Request) -> Response:
        return await endpoint.respond(service, request)

    return answer


def _get(resource: Resource, service: Service) -> Answer:
    async def answer(request: Request) -> Response:
        return await resource.respond(service)

    return answer


def _fixed(response: Response) -> Answer:
    async def answer(request: Request) -> Response:
        return response

    return answer
