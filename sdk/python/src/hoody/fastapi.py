"""A dependency for FastAPI, which is to be installed besides."""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException
from fastapi.requests import HTTPConnection

from ._gate import Gate
from .asgi import address, authorizations


class HoodyAccess:
    """A dependency that lets in requests and websockets with a credential that hoody accepts, and answers 401, 403 or
    503 to all others; `detail` is the refusal.

    can_read = HoodyAccess("http://127.0.0.1:8080", permission="projects.read")

    @app.get("/orders", dependencies=[Depends(can_read)])
    async def orders(): ...

    hoody judges the caller's address when this program's address is in `--trusted-proxies`, else this program's own.

    Raises ConfigurationError when the settings cannot be used.
    """

    def __init__(self, base_url: str, **settings: Any) -> None:
        self._gate = Gate(base_url, **settings)

    async def __call__(self, connection: HTTPConnection) -> None:
        refused = await self._gate.ask(authorizations(connection.scope), address(connection.scope))
        if refused is not None:
            raise HTTPException(refused.status, refused.body, refused.headers)

    async def aclose(self) -> None:
        """Closes its connections."""
        await self._gate.aclose()
