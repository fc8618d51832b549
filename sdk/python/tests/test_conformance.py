from __future__ import annotations

import json
import re
import threading
import traceback
from typing import Any

import anyio
import pytest
from conftest import SDK, called
from scripted import scripted

import hoody
from hoody import AsyncHoody, Hoody, HoodyError, _retry
from hoody._base import Base
from hoody._secret import mask
from hoody._sse import SseParser

FILE = json.loads((SDK / "conformance.json").read_text())
CASES = FILE["cases"]
CANARY = re.compile("canary", re.IGNORECASE)


def settings(script: dict[str, Any], tokens: list[Any]) -> dict[str, Any]:
    given = script.get("client", {})
    credentials = given.get("credentials", {})
    timeout = given.get("timeout_ms")
    found = {
        "token": given.get("token", FILE["token"]),
        "refresh_token": given.get("refresh_token"),
        "max_retries": given.get("max_retries", 2),
        "on_tokens": lambda token, refresh: tokens.append([token, refresh]),
        **credentials,
    }
    return found if timeout is None else {**found, "timeout": timeout / 1000}


def stream_of(client: Any, script: dict[str, Any]) -> Any:
    silence = script.get("client", {}).get("silence_ms", 45000) / 1000
    return client.events.stream(**script.get("query", {}), silence=silence)


def parts(script: dict[str, Any]) -> tuple[Any, ...]:
    return script["call"], script.get("args", ()), script.get("body"), script.get("query")


def run_sync(client: Hoody, script: dict[str, Any], ended: dict[str, Any]) -> None:
    if "at_once" in script:
        threads = [threading.Thread(target=called, args=(client, *parts(script))) for _ in range(script["at_once"])]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    elif script.get("iterate") or "take" in script:
        items = stream_of(client, script) if "take" in script else called(client, *parts(script))
        ended["stream"] = items
        for item in items:
            ended["ids"].append(item.id)
            if len(ended["ids"]) == script.get("take"):
                break
    else:
        called(client, *parts(script))


async def run_async(client: AsyncHoody, script: dict[str, Any], ended: dict[str, Any]) -> None:
    if "at_once" in script:

        async def once() -> None:
            await called(client, *parts(script))

        async with anyio.create_task_group() as group:
            for _ in range(script["at_once"]):
                group.start_soon(once)
    elif script.get("iterate") or "take" in script:
        items = stream_of(client, script) if "take" in script else called(client, *parts(script))
        ended["stream"] = items
        walked = items.__aiter__()
        async for item in walked:
            ended["ids"].append(item.id)
            if len(ended["ids"]) == script.get("take"):
                break
        await walked.aclose()
    else:
        await called(client, *parts(script))


def check(script: dict[str, Any], told: Any, ended: dict[str, Any], tokens: list[Any], client: Any) -> None:
    expect = script["expect"]
    if "requests" in expect:
        assert told.lines == expect["requests"]
    for line, count in expect.get("counts", {}).items():
        assert told.lines.count(line) == count, line
    if "last_event_ids" in expect:
        assert told.last_event_ids == expect["last_event_ids"]
    for at, (least, most) in enumerate(expect.get("pauses", [])):
        pause = (told.times[at + 1] - told.times[at]) * 1000
        assert least <= pause <= most, f"pause {at} is {pause} ms"
    if "tokens" in expect:
        assert tokens == expect["tokens"]
    if "ids" in expect:
        assert ended["ids"] == expect["ids"]
    if "resume" in expect:
        assert ended["stream"].last_event_id == expect["resume"]
    check_error(expect.get("error"), ended.get("error"))
    assert not CANARY.search(repr(client) + repr(vars(client)))


def check_error(expected: dict[str, Any] | None, error: HoodyError | None) -> None:
    if expected is None:
        assert error is None, repr(error)
        return
    assert error is not None and type(error).__name__ == expected["class"], repr(error)
    for key in ("status", "code", "retry_after"):
        if key in expected:
            assert getattr(error, key) == expected[key]
    if "violations" in expected:
        assert [one.instance_path for one in error.violations] == expected["violations"]
    assert expected.get("mentions", "") in str(error)
    assert error.is_outcome_unknown is expected.get("outcome_unknown", False)
    hidden(error)


def hidden(error: HoodyError) -> None:
    """Nothing of the error shows a secret: neither its words nor the locals of its frames in this package."""
    assert error.__cause__ is None and error.__context__ is None
    shown = [str(error), repr(error), repr(vars(error)), "".join(traceback.format_exception(error))]
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if "/hoody/" in frame.f_code.co_filename]
    shown += [repr(frame.f_locals) for frame in frames]
    for one in shown:
        assert not CANARY.search(one), one


@pytest.mark.parametrize("script", CASES, ids=[case["name"] for case in CASES])
def test_case_sync(script: dict[str, Any]) -> None:
    tokens: list[Any] = []
    ended: dict[str, Any] = {"ids": []}
    with scripted(script, FILE["token"]) as told, Hoody(told.base, **settings(script, tokens)) as client:
        try:
            run_sync(client, script, ended)
        except HoodyError as error:
            ended["error"] = error
        if "stream" in ended and hasattr(ended["stream"], "close"):
            ended["stream"].close()
    check(script, told, ended, tokens, client)


@pytest.mark.anyio
@pytest.mark.parametrize("script", CASES, ids=[case["name"] for case in CASES])
async def test_case_async(script: dict[str, Any]) -> None:
    tokens: list[Any] = []
    ended: dict[str, Any] = {"ids": []}
    with scripted(script, FILE["token"]) as told:
        async with AsyncHoody(told.base, **settings(script, tokens)) as client:
            try:
                await run_async(client, script, ended)
            except HoodyError as error:
                ended["error"] = error
    check(script, told, ended, tokens, client)


@pytest.mark.parametrize("one", FILE["bases"], ids=lambda one: one["base"] or "empty")
def test_base(one: dict[str, Any]) -> None:
    if one["href"] is None:
        with pytest.raises(hoody.ConfigurationError) as refused:
            Base.parse(one["base"])
        assert not CANARY.search(repr(refused.value))
        return
    assert Base.parse(one["base"]).href == one["href"]
    if one["realm"] is None:
        with pytest.raises(hoody.ConfigurationError):
            Base.parse(one["base"]).in_realm("507f1f77bcf86cd799439012")
    else:
        assert Base.parse(one["base"]).in_realm("507f1f77bcf86cd799439012").href == one["realm"]


@pytest.mark.parametrize("token", FILE["credentials"]["refused"])
def test_credentials(token: str) -> None:
    with pytest.raises(hoody.ConfigurationError) as refused:
        Hoody("http://127.0.0.1:1", token=token)
    hidden(refused.value)


@pytest.mark.parametrize("one", FILE["retry_after"], ids=lambda one: one["retry-after"] or "empty")
def test_retry_after(one: dict[str, Any]) -> None:
    headers = {"date": "Sun, 06 Nov 1994 08:49:37 GMT", "retry-after": one["retry-after"]}
    assert _retry.retry_after(headers) == one["seconds"]


def test_masked() -> None:
    for text, masked in FILE["masked"]:
        assert mask(text) == masked


@pytest.mark.parametrize("one", FILE["sse"], ids=lambda one: one["name"])
def test_sse(one: dict[str, Any]) -> None:
    parser = SseParser(1000)
    messages = [message for chunk in one["chunks"] for message in parser.push(chunk)]
    assert [[message.event, message.data, message.id] for message in messages] == one["messages"]
    assert parser.id == one["id"]


def test_sse_too_large() -> None:
    with pytest.raises(OverflowError):
        list(SseParser(10).push("data: 0123456789abcdef"))


def test_every_case_ran() -> None:
    assert len(CASES) >= 50
