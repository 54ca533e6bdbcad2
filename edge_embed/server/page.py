"""HTML answers: self-contained pages that may not load anything."""

import base64
import hashlib
import re
from importlib import resources

from starlette.responses import HTMLResponse

__all__ = ["html_response", "playground"]


def playground() -> HTMLResponse:
    """Return the page for trying the model."""
    source = resources.files("edge_embed.server").joinpath("page.html")
    return html_response(source.read_text(encoding="utf-8"))


def html_response(page: str) -> HTMLResponse:
    """Return a page that may run only its own scripts and send requests only to this server."""
    scripts = " ".join(_hashes(page, "script")) or "'none'"
    styles = " ".join(_hashes(page, "style"))
    policy = (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }
    return HTMLResponse(page, headers=headers)


def _hashes(page: str, tag: str) -> list[str]:
    return [
        f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"
        for code in re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    ]
