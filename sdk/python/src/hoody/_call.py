"""One call, and what comes of one try. None of these shows what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any


class Omit(Enum):
    """The type of `OMIT`."""

    OMIT = "omit"

    def __repr__(self) -> str:
        return "OMIT"


OMIT = Omit.OMIT
"""A field that is not sent at all, unlike None, which is sent as null."""


@dataclass(slots=True, frozen=True, repr=False)
class Call:
    """A call to be made."""

    method: str
    path: str
    args: tuple[str, ...] = ()
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    is_anonymous: bool = False
    is_once: bool = False
    is_large: bool = False
    token: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    silence: float | None = None
    """Of a stream, which is left open: seconds without a word after which it counts as lost."""

    @property
    def name(self) -> str:
        """What it is called in messages: method and the path's template."""
        return f"{self.method} {self.path}"

    @property
    def is_change(self) -> bool:
        return self.method not in ("GET", "HEAD")

    @property
    def is_repeatable(self) -> bool:
        return self.method in ("GET", "HEAD", "PUT", "DELETE") and not self.is_once


@dataclass(slots=True, frozen=True, repr=False)
class Wire:
    """A request as it is sent."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes | None
    extensions: dict[str, Any]
    timeout: float | None
    largest: int
    silence: float | None


@dataclass(slots=True, repr=False)
class Reply:
    """An answer. `body` is None when it was larger than allowed; `stream` is an answer that is left open."""

    status: int
    headers: Mapping[str, str]
    body: bytes | None
    stream: Any = None


@dataclass(slots=True, frozen=True)
class Failure:
    """Why there is no answer: the name of the error's class, nothing of what it holds."""

    name: str
    is_timeout: bool = False
    is_unsent: bool = False

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """What an HTTP library raised. Both kinds of httpx name their classes alike."""
        name = type(error).__name__
        is_unsent = name in ("ConnectError", "ConnectTimeout", "ProxyError", "UnsupportedProtocol")
        return cls(name, "Timeout" in name and not is_unsent, is_unsent)


def is_failure(error: BaseException) -> bool:
    """Whether an HTTP library, or the system, says that there is no answer."""
    return isinstance(error, (OSError, EOFError)) or type(error).__module__.partition(".")[0] in (
        "httpx2",
        "httpx",
        "httpcore2",
        "httpcore",
        "h11",
        "h2",
        "anyio",
    )


def plain(value: Any) -> Any:
    """The value as JSON has it, without what is omitted."""
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items() if one is not OMIT}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(one) for one in value]
    return value
