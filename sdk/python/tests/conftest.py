"""What all tests share: both kinds of client behind one face."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

SDK = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SDK))

from emitter.model import snake  # noqa: E402

NAMES = json.loads((SDK / "names.json").read_text())["operations"]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return request.param


def called(client: Any, operation: str, args: Any = (), body: Any = None, query: Any = None) -> Any:
    """The call of an operationId: what its method gives."""
    resource, name = NAMES[operation]["name"].split(".")
    named = {snake(key): value for key, value in {**(body or {}), **(query or {})}.items()}
    return getattr(getattr(client, snake(resource)), snake(name))(*(args or ()), **named)
