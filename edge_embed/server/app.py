"""The application: every path, put together."""

import json
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from edge_embed.server import openai, tei, uses
from edge_embed.server.door import Door, protocol_of
from edge_embed.server.endpoint import Endpoint, error_response
from edge_embed.server.openapi import openapi_document, reference_page
from edge_embed.server.operations import RESOURCES, Resource
from edge_embed.server.page import html_response, playground
from edge_embed.server.problems import StatusError
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
    fixed = {
        "/openapi.json": Response(json.dumps(document), media_type="application/json"),
        "/docs": html_response(reference_page(document)),
    }
    if page:
        fixed["/"] = playground()
    routes = [_post(endpoint, service) for endpoint in ENDPOINTS]
    routes += [_get(resource, service) for resource in RESOURCES]
    routes += [_fixed(path, response) for path, response in fixed.items()]
    app = Starlette(
        routes=routes,
        exception_handlers={HTTPException: _wrong_path, StatusError: _problem},  # type: ignore[dict-item]
    )
    return Door(app, service, frozenset(route.path for route in routes))


def _post(endpoint: Endpoint, service: Service) -> Route:
    async def answer(request: Request) -> Response:
        return await endpoint.respond(service, request)

    return Route(endpoint.path, answer, methods=["POST"])


def _get(resource: Resource, service: Service) -> Route:
    async def answer(request: Request) -> Response:
        return await resource.respond(service)

    return Route(resource.path, answer, methods=["GET"])


def _fixed(path: str, response: Response) -> Route:
    return Route(path, _returning(response), methods=["GET"])


def _returning(response: Response) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return response

    return answer


async def _wrong_path(request: Request, error: HTTPException) -> Response:
    text = "there is no such path; /docs lists them"
    if error.status_code == 405:
        text = "the path takes another method; /docs lists them"
    problem = StatusError(error.status_code, text, headers=error.headers)
    return error_response(problem, protocol_of(request.scope))


async def _problem(request: Request, error: StatusError) -> Response:
    return error_response(error, protocol_of(request.scope))
