"""What conformance.json does not ask of all languages alike."""

from __future__ import annotations

import json
import platform
import re
import threading
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import anyio
import httpx2
import pytest
from real import real
from scripted import scripted
from test_conformance import CANARY, hidden

import hoody
from hoody import AsyncHoody, Hoody, types

# Put together, so that the lines of this file in a traceback do not have it.
SECRET = "can" + "ary"
TOKEN = "hdy_canaryCANARYcanaryCANARYcanaryCANARY0123456789"
ACCOUNT = {"username": "ada", "password": "correct-horse-battery-staple"}
REALMS = {"status": 200, "body": {"statusCode": 200, "message": "ok", "data": {"realm_ids": [], "total": 0}}}
REALM = "507f1f77bcf86cd799439012"


def answering(body: Any, status: int = 200) -> Hoody:
    """A client whose every call is answered with this."""
    transport = httpx2.MockTransport(lambda _: httpx2.Response(status, json=body))
    return Hoody("http://127.0.0.1:9", token=TOKEN, http_client=httpx2.Client(transport=transport))


def test_nothing_shows_a_secret() -> None:
    client = Hoody(
        "http://127.0.0.1:9",
        token=TOKEN,
        refresh_token=SECRET,
        username="ada",
        password=SECRET,
        headers={"x-secret": SECRET},
        max_retries=0,
    )
    calls = [
        lambda: client.vault.set("x", value=SECRET),
        lambda: client.auth_tokens.create(otp_code=SECRET),
        lambda: client.authentication.login(username="ada", password=SECRET),
        lambda: client.authentication.oauth_cancel_intent(SECRET),
        lambda: client.users.update("x", password=SECRET, current_password=SECRET),
        lambda: Hoody.authenticate("http://127.0.0.1:9", username="ada", password=SECRET, max_retries=0),
        lambda: list(client.events.stream()),
    ]
    for call in calls[:-1]:
        with pytest.raises(hoody.APIConnectionError) as failed:
            call()
        hidden(failed.value)
    for thing in (
        client,
        client.vault,
        client.with_realm(REALM),
        client._core.plan.session,
        client._core.plan,
        client.events.stream(),
    ):
        shown = repr(thing) + (repr(vars(thing)) if hasattr(thing, "__dict__") else "")
        assert not CANARY.search(shown), shown
    client.close()


def test_answers_show_no_secret() -> None:
    user = {"id": REALM, "username": "ada", "alias": "Ada", "is_banned": False}
    times = {"created_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-01-01T00:00:00.000Z"}
    data = {"token": "eyJcanary", "refreshToken": "eyJcanary2", "user": user | times, "of_tomorrow": "canary3"}
    answer = answering({"statusCode": 200, "message": "ok", "data": data, "new": 1}).authentication.login(password="x")
    assert isinstance(answer.data, types.LoginData)
    assert not CANARY.search(repr(answer))
    assert (
        answer.data.token == "eyJcanary"
        and f"{answer.data.token}" == "eyJcanary"
        and isinstance(answer.data.token, hoody.Secret)
    )
    assert answer.data.extra == {"of_tomorrow": "canary3"} and answer.extra == {"new": 1}
    assert answer.data.user.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert json.loads(json.dumps(answer.to_dict()["data"])) == data


def test_a_second_factor_is_told_apart() -> None:
    data = {"requires_2fa": True, "temp_token": "eyJx", "method": "totp"}
    body = {"statusCode": 200, "message": "ok", "data": data}
    answer = answering(body).authentication.login(password="x")
    assert isinstance(answer.data, types.Challenge)
    refused = pytest.raises(hoody.ConfigurationError, match="second factor")
    with scripted({"answers": [{"status": 200, "body": body}]}, TOKEN) as told, refused:
        Hoody.authenticate(told.base, **ACCOUNT)


def test_an_answer_that_lacks_a_field_names_its_place() -> None:
    client = answering(
        {"statusCode": 200, "message": "ok", "data": {"projects": [{"alias": TOKEN}], "pagination": None}}
    )
    with pytest.raises(hoody.UnreadableAnswerError, match=re.escape("unexpected at data.projects[0].")) as failed:
        client.projects.list()
    hidden(failed.value)


def test_what_is_sent() -> None:
    told_of: list[hoody.Attempt] = []
    with scripted({"answers": [REALMS, REALMS]}, TOKEN) as told:
        with Hoody(
            f"{told.base}/api/v1/", token=TOKEN, headers={"X-Team": "shop"}, on_response=told_of.append
        ) as client:
            assert client.base_url == told.base
            client.realms.list(include_usage=False)
        with Hoody(told.base, token=TOKEN, realm_id=REALM) as client:
            client.realms.list()
    assert told.lines[0] == "GET /api/v1/realms?include_usage=false token"
    headers = told.headers[0]
    agent = f"hoody-python/{hoody.VERSION} (python {platform.python_version()})"
    assert [headers["user-agent"], headers["x-team"]] == [agent, "shop"] and "content-type" not in headers
    one = told_of[0]
    assert (one.method, one.path, one.attempt, one.status) == ("GET", "/api/v1/realms", 1, 200)
    # The realm's name is asked for at the address that was given.
    port = told.base.rsplit(":", 1)[1]
    assert told.headers[1]["host"] == f"{REALM}.api.localhost:{port}"
    for name in ("Authorization", "host", "Cookie"):
        with pytest.raises(hoody.ConfigurationError):
            Hoody(told.base, headers={name: "x"})


def test_values_are_sent_as_the_server_reads_them() -> None:
    sent: list[Any] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        sent.append(json.loads(request.content))
        return httpx2.Response(400, json={"code": "X", "message": "x"})

    client = Hoody("http://127.0.0.1:9", http_client=httpx2.Client(transport=httpx2.MockTransport(answer)))
    for expires in (None, "tomorrow", 1767225599, datetime(2099, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)):
        with pytest.raises(hoody.BadRequestError):
            client.auth_tokens.create(alias="é", expires_at=expires)
    ends = [None, "tomorrow", 1767225599, "2099-01-02T03:04:05.678Z"]
    assert sent == [{"alias": "é", "expires_at": end} for end in ends]


@pytest.mark.parametrize("id", ["", ".", ".."])
def test_an_id_that_would_be_another_route_is_refused(id: str) -> None:
    with pytest.raises(hoody.ConfigurationError):
        answering({}).auth_tokens.get(id)


def test_an_answer_that_is_too_large_is_given_up() -> None:
    def body() -> Any:
        while True:
            yield bytes(2**20)

    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, content=body()))
    client = Hoody("http://127.0.0.1:9", http_client=httpx2.Client(transport=transport))
    with pytest.raises(hoody.UnreadableAnswerError, match="too large"):
        client.realms.list()


def test_wrong_settings_are_told() -> None:
    for settings in (
        {"password": "x"},
        {"username": "ada"},
        {"username": "a", "email": "b", "password": "c"},
        {"realm_id": "x"},
    ):
        with pytest.raises(hoody.ConfigurationError):
            Hoody("http://127.0.0.1:9", **settings)


def test_with_a_real_server() -> None:
    pairs: list[Any] = []
    with (
        real(**ACCOUNT) as base,
        Hoody.authenticate(base, **ACCOUNT, on_tokens=lambda *pair: pairs.append(pair)) as client,
    ):
        assert len(pairs) == 1
        made = client.auth_tokens.create(permissions={"projects": {"read": True}})
        token = client.with_token(made.data.token)
        token.check("projects.read")
        with pytest.raises(hoody.PermissionDeniedError) as refused:
            token.check("projects.create")
        assert refused.value.code == "INSUFFICIENT_PERMISSIONS"

        begin = client.events.list(bootstrap=True).data.pagination.latest_cursor
        for alias in "abcdefgh":
            client.projects.create(alias=alias)
        assert (
            "".join(one.alias for one in client.projects.list(limit=3, sort_by="alias", sort_order="asc")) == "abcdefgh"
        )
        assert len(client.projects.list(limit=3).to_list(limit=4)) == 4

        told = []
        stream = client.events.stream(after=begin, event_type="project.*")
        for event in stream:
            told.append(event.payload["alias"])
            if len(told) == 8:
                client.projects.create(alias="live")
            if len(told) == 9:
                break
        assert told == [*"abcdefgh", "live"]
        assert re.fullmatch(r"[\w-]{46}", stream.last_event_id or "")

        # A session that was ended elsewhere signs in again, once for all threads.
        client.with_token(pairs[0][0]).authentication.logout()
        threads = [threading.Thread(target=client.authentication.get_current_user) for _ in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert len(pairs) == 2

        there = client.with_realm(REALM)
        assert there.projects.create(alias="there").data.realm_ids == [REALM]
        assert [one.alias for one in there.projects.list()] == ["there"]


@pytest.mark.anyio
async def test_with_a_real_server_async() -> None:
    pairs: list[Any] = []

    async def keep(token: str, refresh_token: str) -> None:
        pairs.append((token, refresh_token))

    with real(**ACCOUNT) as base:
        async with await AsyncHoody.authenticate(base, **ACCOUNT, on_tokens=keep) as client:
            begin = (await client.events.list(bootstrap=True)).data.pagination.latest_cursor
            for alias in "abcd":
                await client.projects.create(alias=alias)
            assert [one.alias async for one in client.projects.list(limit=3, sort_by="alias", sort_order="asc")] == [
                *"abcd"
            ]
            assert (await client.projects.list(limit=3)).data.pagination.total_pages == 2

            told = []
            stream = client.events.stream(after=begin, event_type="project.*")
            async with aclosing(aiter(stream)) as events:
                async for event in events:
                    told.append(event.payload["alias"])
                    if len(told) == 4:
                        await client.projects.create(alias="live")
                    if len(told) == 5:
                        break
            assert told == [*"abcd", "live"]

            await client.with_token(pairs[0][0]).authentication.logout()
            async with anyio.create_task_group() as group:
                for _ in range(4):
                    group.start_soon(client.authentication.get_current_user)
            assert len(pairs) == 2
            assert (await client.with_realm(REALM).projects.create(alias="there")).data.realm_ids == [REALM]


@pytest.mark.anyio
async def test_a_call_is_cancelled_while_it_waits() -> None:
    busy = {"status": 503, "headers": {"retry-after": "20"}, "body": {"code": "UNAVAILABLE", "message": "x"}}
    with scripted({"answers": [busy, {"wait": 5000}]}, TOKEN) as told:
        async with AsyncHoody(told.base) as client:
            for _ in range(2):
                with anyio.move_on_after(0.2) as scope:
                    await client.realms.list()
                assert scope.cancelled_caught
