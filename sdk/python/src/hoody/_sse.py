"""A reader of Server-Sent Events."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_END = re.compile(r"[\r\n]")


@dataclass(slots=True, frozen=True)
class Message:
    """A message of a stream."""

    event: str
    data: str
    id: str | None


class SseParser:
    """Reads a stream of Server-Sent Events (HTML Living Standard, 9.2.6) as it comes. Lines end in CR, LF or CRLF;
    comments are passed over; an id with NUL does not count.

    `largest` is the number of characters that one message may have.
    """

    def __init__(self, largest: int, id: str | None = None) -> None:
        self._largest = largest
        self._buffer = ""
        self._is_begun = False
        self._event = ""
        self._data: list[str] = []
        self._size = 0
        self._id = id
        self.id = id
        """The last id of a message that is complete."""
        self.retry: float | None = None
        """Seconds that the server asks to wait before a new connection."""

    def push(self, text: str) -> Iterator[Message]:
        """The messages that this piece of text completes.

        Raises OverflowError when one is too large.
        """
        if text and not self._is_begun:
            self._is_begun = True
            text = text.removeprefix("\ufeff")
        self._buffer += text
        at = 0
        while found := _END.search(self._buffer, at):
            end = found.start()
            # A CR at the end may be half of a CRLF.
            if end == len(self._buffer) - 1 and self._buffer[end] == "\r":
                break
            line = self._buffer[at:end]
            at = end + (2 if self._buffer.startswith("\r\n", end) else 1)
            if line:
                self._field(line)
            elif message := self._dispatch():
                yield message
        self._buffer = self._buffer[at:]
        if self._size + len(self._buffer) > self._largest:
            raise OverflowError("too large")

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and re.fullmatch(r"[0-9]{1,9}", value):
            self.retry = int(value) / 1000
        elif name == "data":
            self._data.append(value)
            self._size += len(value)
            if self._size > self._largest:
                raise OverflowError("too large")

    def _dispatch(self) -> Message | None:
        self.id = self._id
        message = Message(self._event or "message", "\n".join(self._data), self.id)
        is_empty = not self._data
        self._event, self._data, self._size = "", [], 0
        return None if is_empty else message
