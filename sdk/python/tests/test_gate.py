"""The middlewares let in what hoody accepts, and nobody else."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from real import real
from scripted import scripted
from starlette.websockets import WebSocketDisconnect

from hoody import ConfigurationError, Hoody
from hoody.asgi import HoodyMiddleware
from hoody.fastapi import HoodyAccess

ACCOUNT = {"username": "ada", "password": "correct-horse-battery-staple"}
REALM = "507f1f77bcf86cd799439012"


@pytest.fixture(scope="module")
def server():
    """A server that believes this program's X-Forwarded-For, and tokens of it."""
    with real(ACCOUNT["username"], ACCOUNT["password"], "--trusted-proxies", "127.0.0.1") as base:
        with Hoody.authenticate(base, **ACCOUNT) as client:
            reads: Any = {"projects": {"read": True}}

            def make(alias: str, **more: Any) -> str:
                return client.auth_tokens.create(alias=alias, **more).data.token

            tokens = {
                "reader": make("reader", permissions=reads),
                "nothing": make("nothing", permissions={}),
                "elsewhere": make("elsewhere", permissions=reads, ip_whitelist=["203.0.113.7"]),
                "realm": make("realm", permissions=reads, realm_ids=[REALM]),
            }
        yield base, tokens


async def service(scope: Any, receive: Any, send: Any) -> None:
    """What is guarded."""
    if scope["type"] == "lifespan":
        for part in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{part}.complete"})
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "hello"})
        await send({"type": "websocket.close", "code": 1000})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def ask(app: Any, *authorizations: str, address: str = "127.0.0.1") -> httpx2.Response:
    transport = httpx2.ASGITransport(app, client=(address, 1234))
    async with httpx2.AsyncClient(transport=transport, base_url="http://service.test") as client:
        return await client.get("/", headers=[("authorization", one) for one in authorizations])


@pytest.mark.anyio
async def test_asgi(server: Any) -> None:
    base, tokens = server
    app = HoodyMiddleware(service, base, permission="projects.read")
    good = await ask(app, f"Bearer {tokens['reader']}")
    assert (good.status_code, good.text) == (200, "hello")
    for authorizations, status, code in [
        ([], 401, "MISSING_TOKEN"),
        (["Bearer hdy_nonsense"], 401, "INVALID_TOKEN"),
        (["Basic YWRhOng="], 401, "INVALID_TOKEN"),
        ([f"Bearer {tokens['reader']}"] * 2, 401, "INVALID_TOKEN"),
        ([f"Bearer {tokens['reader']}, Bearer x"], 401, "INVALID_TOKEN"),
        ([f"Bearer {tokens['nothing']}"], 403, "INSUFFICIENT_PERMISSIONS"),
        ([f"Bearer {tokens['elsewhere']}"], 403, "IP_NOT_WHITELISTED"),
        ([f"Bearer {tokens['realm']}"], 403, "REALM_SCOPE_REQUIRED"),
    ]:
        answer = await ask(app, *authorizations)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
        assert answer.headers["cache-control"] == "no-store"
    # The address that the server of this program knows is judged.
    assert (await ask(app, f"Bearer {tokens['elsewhere']}", address="203.0.113.7")).status_code == 200
    realm = HoodyMiddleware(service, base, permission="projects.read", realm_id=REALM)
    assert (await ask(realm, f"Bearer {tokens['realm']}")).status_code == 200


@pytest.mark.anyio
async def test_nobody_is_let_in_when_hoody_does_not_say_so() -> None:
    answers: list[Any] = [
        {"status": 200, "body": {"statusCode": 200, "message": "ok", "data": None}},
        {"status": 302, "headers": {"location": "http://elsewhere.test/"}},
        {"status": 400, "body": {"code": "INVALID_PARAMETER_VALUE"}},
        {"status": 404, "body": {}},
        {"status": 429, "headers": {"retry-after": "7"}, "body": {}},
        {"status": 500, "body": {}},
        {"status": 503, "headers": {"retry-after": "2"}, "body": {}},
        {"drop": True},
        {"wait": 4000},
    ]
    pauses = []
    with scripted({"answers": answers}, "") as away:
        app = HoodyMiddleware(service, away.base, timeout=1.5)
        for answer in answers:
            refused = await ask(app, "Bearer hdy_x")
            assert (refused.status_code, refused.json()["code"]) == (503, "UNAVAILABLE"), answer
            pauses.append(refused.headers["retry-after"])
    assert pauses == ["1", "1", "1", "1", "7", "1", "2", "1", "1"]
    assert (await ask(app, "Bearer hdy_x")).status_code == 503


def test_fastapi_and_websockets(server: Any) -> None:
    base, tokens = server
    app = FastAPI()

    @app.get("/orders", dependencies=[Depends(HoodyAccess(base, permission="projects.read"))])
    async def orders() -> list[str]:
        return ["one"]

    with TestClient(app, client=("127.0.0.1", 1234)) as client:
        good = client.get("/orders", headers={"authorization": f"Bearer {tokens['reader']}"})
        assert (good.status_code, good.json()) == (200, ["one"])
        refused = client.get("/orders", headers={"authorization": f"Bearer {tokens['nothing']}"})
        assert (refused.status_code, refused.json()["detail"]["code"]) == (403, "INSUFFICIENT_PERMISSIONS")
        assert client.get("/orders").headers["www-authenticate"] == "Bearer"
        # A caller cannot choose the address that is judged.
        forged = {"authorization": f"Bearer {tokens['elsewhere']}", "x-forwarded-for": "203.0.113.7"}
        assert client.get("/orders", headers=forged).status_code == 403

    with TestClient(HoodyMiddleware(service, base), client=("127.0.0.1", 1234)) as client:
        with client.websocket_connect("/", headers={"authorization": f"Bearer {tokens['nothing']}"}) as socket:
            assert socket.receive_text() == "hello"
        with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect("/"):
            pass
        assert (closed.value.code, closed.value.reason) == (1008, "MISSING_TOKEN")


def test_wrong_settings_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError):
        HoodyMiddleware(service, "nonsense")
    with pytest.raises(ConfigurationError):
        HoodyAccess("http://127.0.0.1:1", realm_id="x")
