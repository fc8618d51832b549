"""A middleware for ASGI: Starlette, FastAPI, Django, Litestar, Quart."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ._gate import Gate, Refused

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class HoodyMiddleware:
    """Lets in requests and websockets with a credential that hoody accepts, and answers 401, 403 or 503 to all others.

    app = HoodyMiddleware(app, "http://127.0.0.1:8080", permission="projects.read")

    hoody judges the caller's address when this program's address is in `--trusted-proxies`, else this program's own.

    Raises ConfigurationError when the settings cannot be used.
    """

    def __init__(self, app: App, base_url: str, **settings: Any) -> None:
        self._app = app
        self._gate = Gate(base_url, **settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            await self._gate.aclose()
            return
        refused = await self._gate.ask(authorizations(scope), address(scope))
        if refused is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            # Closed before it was accepted: the server answers 403.
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": refused.body["code"]})
        else:
            await _answer(send, refused)


def authorizations(scope: Scope) -> list[str]:
    """The request's headers of that name."""
    return [value.decode("latin-1") for name, value in scope["headers"] if name.lower() == b"authorization"]


def address(scope: Scope) -> str | None:
    """Where the request came from, as the server that runs this program knows it."""
    client = scope.get("client")
    return str(client[0]) if client else None


async def _answer(send: Send, refused: Refused) -> None:
    body = json.dumps(refused.body).encode()
    headers = {"content-type": "application/json", "content-length": str(len(body)), **refused.headers}
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refused.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
