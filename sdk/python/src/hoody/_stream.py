"""How a stream of events goes on: what both kinds of client do alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from . import types as t
from ._answer import Unreadable, read
from ._call import Call
from ._errors import (
    APIConnectionError,
    APIError,
    GoneError,
    HoodyError,
    StreamEndedError,
    UnreadableAnswerError,
)
from ._retry import backoff
from ._sse import Message, SseParser

PATH = "/api/v1/events/stream"
LARGEST = 16 * 2**20
# The stream goes on after these.
_PASSING = ("EVENTS_STREAM_LAGGED", "UNAVAILABLE")
# The credential ended: a session may be renewed.
ENDED = ("INVALID_TOKEN", "TOKEN_EXPIRED")
_GONE = ("EVENTS_CURSOR_EXPIRED", "EVENTS_HISTORY_RESET")


class StreamState:
    """Where a stream stands."""

    last_event_id: str | None
    """The place up to which everything was told. Store it, and pass it as `after` to go on from there."""

    def __init__(self, query: Mapping[str, Any], after: str | None) -> None:
        self._query = query
        self._is_opened = False
        self._tried = 0
        self._retry: float | None = None
        self._renewed: str | None = None
        self.last_event_id = after

    def _call(self, silence: float) -> Call:
        headers = {"accept": "text/event-stream"}
        if self.last_event_id is not None:
            headers["last-event-id"] = self.last_event_id
        return Call("GET", PATH, query=self._query, headers=headers, silence=silence)

    def _parser(self) -> SseParser:
        return SseParser(LARGEST, self.last_event_id)

    def _read_to(self, parser: SseParser) -> None:
        self._retry = parser.retry
        self.last_event_id = parser.id

    def _pause(self) -> float:
        self._tried += 1
        return self._retry if self._retry is not None else backoff(self._tried)

    def _event(self, message: Message) -> t.Event:
        """The event that a message is. Raises UnreadableAnswerError."""
        self._tried = 0
        self.last_event_id = message.id
        try:
            event: t.Event = read(t.Event, json.loads(message.data), "event")
            return event
        except Unreadable as unreadable:
            place = str(unreadable)
        except ValueError:
            place = "its beginning"
        del message
        raise UnreadableAnswerError(f"cannot read an event of the stream: unexpected at {place}")

    def _end(self, message: Message) -> HoodyError | None:
        """Why the server ends the stream; None when it should be opened again."""
        try:
            said = json.loads(message.data)
        except ValueError:
            said = {}
        code, text, resume = (
            str(said.get("code", "")),
            str(said.get("message", "the server ended the stream")),
            said.get("resume_after"),
        )
        self.last_event_id = resume if isinstance(resume, str) else message.id
        if code in _PASSING:
            return None
        if code in _GONE:
            return GoneError(text, status=410, code=code, method="GET", path=PATH, data=said.get("data"))
        return StreamEndedError(text, code, resume if isinstance(resume, str) else None)

    def _may_pass(self, error: HoodyError) -> bool:
        """Whether opening the stream again may help. An address that never answered is a mistake, not a pause."""
        return self._is_opened and _is_passing(error)


def _is_passing(error: HoodyError) -> bool:
    return isinstance(error, APIConnectionError) or (isinstance(error, APIError) and error.status in (429, 503))
