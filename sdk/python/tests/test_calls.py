"""The table of sdk/calls.json against a real server, with both kinds of client."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import anyio
import pytest
from conftest import SDK, called
from real import real

from hoody import APIError, AsyncHoody, Hoody
from hoody._answer import to_json

TABLE = json.loads((SDK / "calls.json").read_text())
ACCOUNT = TABLE["account"]
CALLS = TABLE["calls"]


def filled(value: Any, saved: dict[str, Any]) -> Any:
    """The value with what was saved in the place of each {NAME}."""
    return json.loads(re.sub(r"\{([A-Za-z]+)\}", lambda found: saved[found[1]], json.dumps(value)))


def at(value: Any, path: str) -> Any:
    for key in path.split("."):
        try:
            value = value[int(key)] if isinstance(value, list) else value[key]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def parts(step: dict[str, Any], saved: dict[str, Any]) -> list[Any]:
    return [step["call"], *(filled(step.get(key), saved) for key in ("args", "body", "query"))]


def client_of(client: Any, step: dict[str, Any], saved: dict[str, Any]) -> Any:
    name = step.get("as", "session")
    client = client if name == "none" else client.with_token(saved[name])
    return client.with_realm(step["realm"]) if "realm" in step else client


def judge(step: dict[str, Any], answer: Any, saved: dict[str, Any]) -> bool:
    """Whether the answer is what the step says; False while it is not yet."""
    if "all" in step:
        assert len(answer) == step["all"], step
        return True
    found = answer.to_dict()
    if any(at(found, path) != value for path, value in step.get("until", {}).items()):
        return False
    for path, value in step.get("gives", {}).items():
        assert at(found, path) == filled(value, saved), (path, step, found)
    for path in step.get("has", ()):
        assert at(found, path), (path, step)
    for name, path in step.get("save", {}).items():
        saved[name] = str(at(found, path))
    return True


def judge_refusal(step: dict[str, Any], error: APIError) -> None:
    assert error.code == step.get("code"), (step, repr(error))
    assert error.status == step.get("status", error.status), step
    assert error.request_id


def test_the_table_sync() -> None:
    saved: dict[str, Any] = {}
    with real(**ACCOUNT) as base, Hoody(base) as anonymous:
        for step in CALLS:
            client = client_of(anonymous, step, saved)
            try:
                for _ in range(100):
                    answer = called(client, *parts(step, saved))
                    if judge(step, answer.to_list() if "all" in step else answer, saved):
                        break
                    time.sleep(0.05)
                assert "code" not in step, step
            except APIError as error:
                judge_refusal(step, error)


@pytest.mark.anyio
async def test_the_table_async() -> None:
    saved: dict[str, Any] = {}
    with real(**ACCOUNT) as base:
        async with AsyncHoody(base) as anonymous:
            for step in CALLS:
                client = client_of(anonymous, step, saved)
                try:
                    for _ in range(100):
                        answer = called(client, *parts(step, saved))
                        answer = await (answer.to_list() if "all" in step else answer)
                        if judge(step, answer, saved):
                            break
                        await anyio.sleep(0.05)
                    assert "code" not in step, step
                except APIError as error:
                    judge_refusal(step, error)


def test_the_table_is_long_enough() -> None:
    assert len(CALLS) >= 40
    assert to_json([None, 1]) == [None, 1]
