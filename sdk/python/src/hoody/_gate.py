"""What the middlewares stand on: a request is checked at hoody, and let in on a 204 alone."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import anyio
import httpx2

from ._base import Base
from ._call import is_failure
from ._core import agent
from ._retry import retry_after
from ._secret import Secret


@dataclass(slots=True, frozen=True)
class Refused:
    """Why a request is not let in: an answer for it."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


class Gate:
    """Asks one hoody server whether requests are let in. `permission` is what a credential needs; without one any good
    credential is let in. `realm_id` asks on that realm's host. `timeout` is the seconds that hoody may take.

    Raises ConfigurationError when the settings cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        permission: str | None = None,
        realm_id: str | None = None,
        timeout: float = 5.0,
        http_client: Any = None,
    ) -> None:
        given = Base.parse(base_url)
        self._base = given if realm_id is None else given.in_realm(realm_id)
        query = "" if permission is None else f"?permission={quote(permission, safe='')}"
        self._url = f"{self._base.address}/api/v1/auth/check{query}"
        self._timeout = timeout
        self._is_owner = http_client is None
        self._http = http_client or httpx2.AsyncClient(trust_env=not self._base.is_loopback, timeout=None)

    async def ask(self, authorizations: list[str], address: str | None) -> Refused | None:
        """None lets the request in. `authorizations` are its headers of that name; `address` is where it came from, if
        that is known: hoody reads it when this program's address is in `--trusted-proxies`."""
        if not authorizations:
            return refused(401, "Unauthorized", "MISSING_TOKEN", "Authentication token required")
        # Two headers, or two that were joined: which of them would count?
        if len(authorizations) > 1 or not re.fullmatch(r"(?i:bearer) [\x21-\x2b\x2d-\x7e]+", authorizations[0]):
            return refused(401, "Unauthorized", "INVALID_TOKEN", "Invalid authentication token")
        headers = {"authorization": Secret(authorizations[0]), "accept": "application/json", "user-agent": agent()}
        extensions: dict[str, Any] = {}
        if address is not None:
            headers["x-forwarded-for"] = address
        if self._base.dialled is not None:
            headers["host"] = self._base.authority
            extensions["sni_hostname"] = self._base.host
        response = None
        with anyio.move_on_after(self._timeout):
            try:
                request = self._http.build_request("GET", self._url, headers=headers, extensions=extensions)
                response = await self._http.send(request, follow_redirects=False)
            except Exception as error:
                if not is_failure(error):
                    raise
        if response is not None and response.status_code == 204:
            return None
        return _judged(response)

    async def aclose(self) -> None:
        """Closes its connections."""
        if self._is_owner:
            await self._http.aclose()


def _judged(response: Any) -> Refused:
    """Whatever else happens, nobody is let in."""
    if response is None or response.status_code not in (401, 403):
        seconds = 1.0 if response is None else retry_after(response.headers)
        answer = refused(503, "Service Unavailable", "UNAVAILABLE", "The request could not be checked. Try again.")
        return Refused(
            503, {**answer.headers, "retry-after": str(math.ceil(1.0 if seconds is None else seconds))}, answer.body
        )
    try:
        said = json.loads(response.content)
    except ValueError:
        said = {}

    def word(key: str, other: str) -> str:
        value = said.get(key) if isinstance(said, Mapping) else None
        return value if isinstance(value, str) and value else other

    if response.status_code == 401:
        defaults = ("Unauthorized", "INVALID_TOKEN", "Invalid authentication token")
    else:
        defaults = ("Forbidden", "INSUFFICIENT_PERMISSIONS", "Insufficient permissions")
    words = (word(key, other) for key, other in zip(("error", "code", "message"), defaults, strict=True))
    return refused(response.status_code, *words)


def refused(status: int, error: str, code: str, message: str) -> Refused:
    """An answer in the envelope of hoody's own."""
    headers = {"cache-control": "no-store"}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    return Refused(
        status, headers, {"statusCode": status, "error": error, "code": code, "message": message, "data": None}
    )
