"""The client's hands for threads: sends, waits, walks lists, reads streams."""

from __future__ import annotations

import codecs
import time
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from . import types as t
from ._answer import Envelope
from ._call import OMIT, Call, Failure, Omit, Reply, Wire, is_failure
from ._core import Attempt, Plan, Renew, Send, Sleep, Steps
from ._errors import HoodyError, UnreadableAnswerError
from ._list import items_of, next_query
from ._secret import hide
from ._sse import Message
from ._stream import ENDED, StreamState

E = TypeVar("E")
T = TypeVar("T")


class SyncCore:
    """Sends calls."""

    def __init__(self, plan: Plan, http: Any) -> None:
        self.plan = plan
        self.http = http

    def call(self, route: str, kind: Any, **details: Any) -> Any:
        """Sends the call and gives its envelope. Raises HoodyError."""
        method, _, path = route.partition(" ")
        details["token"] = hide(details.get("token"))
        answer = self._run(self.plan.signed(Call(method, path, **details), kind))
        if isinstance(answer, HoodyError):
            raise answer
        return Envelope(**answer) if isinstance(answer, dict) else answer

    def list(self, route: str, kind: Any, rule: Mapping[str, str], **details: Any) -> Any:
        """Sends the call and gives the first page of its list. Raises HoodyError."""

        def page(query: Mapping[str, Any]) -> Envelope[Any]:
            answer: Envelope[Any] = self.call(route, kind, **{**details, "query": query})
            return answer

        query = {key: value for key, value in details.get("query", {}).items() if value is not OMIT}
        return Page(page(query), page, query, rule)

    def open(self, call: Call) -> Any:
        """A stream that is open, or why there is none."""
        return self._run(self.plan.signed(call, None))

    def renew(self, used: str | None) -> Any:
        """True when the session has another token than this one, False, or an error."""
        session = self.plan.session
        with session.lock:
            before = session.token
            renewed = self._run(self.plan.renewal(used))
            if renewed is True and session.token is not before and session.on_tokens is not None:
                session.on_tokens(str(session.token), str(session.refresh_token))
        return renewed

    def _run(self, steps: Steps) -> Any:
        result: Any = None
        while True:
            try:
                effect = steps.send(result)
            except StopIteration as stop:
                return stop.value
            if isinstance(effect, Sleep):
                time.sleep(effect.seconds)
            elif isinstance(effect, Renew):
                result = self.renew(effect.used)
                if isinstance(result, HoodyError):
                    return result
            else:
                result = self._try(effect)

    def _try(self, send: Send) -> Reply | Failure:
        began = time.monotonic()
        reply = self._exchange(send.wire)
        on_response = self.plan.settings.on_response
        if on_response is not None:
            status = 0 if isinstance(reply, Failure) else reply.status
            request_id = None if isinstance(reply, Failure) else reply.headers.get("x-request-id")
            call = send.call
            on_response(Attempt(call.method, call.path, send.attempt, status, time.monotonic() - began, request_id))
        return reply

    def _exchange(self, wire: Wire) -> Reply | Failure:
        deadline = None if wire.timeout is None else time.monotonic() + wire.timeout
        try:
            response = self.http.send(request_of(self.http, wire), stream=True, follow_redirects=False)
            if wire.silence is not None and response.status_code == 200:
                return Reply(200, response.headers, b"", response)
            try:
                return _read(response, wire.largest, deadline)
            finally:
                response.close()
        except Exception as error:
            if not is_failure(error):
                raise
            return Failure.of(error)


def request_of(http: Any, wire: Wire) -> Any:
    """The request of either kind of httpx client."""
    # A connection opens within 10 seconds, or the try's time if that is less.
    connect = 10.0 if wire.timeout is None else min(10.0, wire.timeout)
    read = wire.timeout if wire.silence is None else wire.silence
    timeout = {"connect": connect, "read": read, "write": wire.timeout, "pool": wire.timeout}
    extensions = {**wire.extensions, "timeout": timeout}
    return http.build_request(wire.method, wire.url, headers=wire.headers, content=wire.content, extensions=extensions)


def _read(response: Any, largest: int, deadline: float | None) -> Reply | Failure:
    chunks, size = [], 0
    for chunk in response.iter_bytes():
        size += len(chunk)
        if size > largest:
            return Reply(response.status_code, response.headers, None)
        if deadline is not None and time.monotonic() > deadline:
            return Failure("ReadTimeout", is_timeout=True)
        chunks.append(chunk)
    return Reply(response.status_code, response.headers, b"".join(chunks))


class Page(Envelope[E], Generic[E, T]):
    """One page of a list, in its envelope. Iterating it gives all items, page after page."""

    def __init__(self, first: Envelope[E], page: Any, query: Mapping[str, Any], rule: Mapping[str, str]) -> None:
        self.__dict__.update(vars(first))
        self._page = page
        self._query = query
        self._rule = rule

    def __iter__(self) -> Iterator[T]:
        answer: Envelope[E] = self
        query: Mapping[str, Any] | None = self._query
        while True:
            yield from items_of(answer, self._rule)
            query = next_query(answer, query or {}, self._rule)
            if query is None:
                return
            answer = self._page(query)

    def to_list(self, limit: int | None = None) -> list[T]:
        """All items, or the first so many."""
        found: list[T] = []
        for item in self if limit is None or limit > 0 else ():
            found.append(item)
            if len(found) == limit:
                break
        return found


def _next(chunks: Iterator[bytes]) -> bytes:
    """The next piece of a stream; nothing when it ends, is lost or is silent."""
    try:
        return next(chunks, b"")
    except Exception as error:
        if not is_failure(error):
            raise
    return b""


class SyncEvents:
    """What `client.events` has beside the routes that are plain calls."""

    def __init__(self, core: SyncCore) -> None:
        self._core = core

    def stream(
        self,
        *,
        event_type: str | Omit = OMIT,
        resource_type: str | Omit = OMIT,
        realm_id: str | Omit = OMIT,
        after: str | Omit | None = OMIT,
        silence: float = 45.0,
    ) -> EventStream:
        """Events as they happen. `event_type` has commas between types: `auth.token.*,project.created`. `after` is a
        cursor to go on from; without one the stream begins now. After `silence` seconds without a word the connection
        is made anew. `GET /api/v1/events/stream`
        """
        query = {"event_type": event_type, "resource_type": resource_type, "realm_id": realm_id}
        return EventStream(self._core, query, None if isinstance(after, Omit) else after, silence)


class EventStream(StreamState):
    """Events as they happen, for `for`. When the connection is lost, or silent for too long, it is made anew and goes
    on after the last event, without gap or double. It ends by an error, by `break`, or by `close()`."""

    def __init__(self, core: SyncCore, query: Mapping[str, Any], after: str | None, silence: float) -> None:
        super().__init__(query, after)
        self._core = core
        self._silence = silence
        self._response: Any = None

    def __iter__(self) -> Iterator[t.Event]:
        while True:
            token = self._core.plan.session.token
            error = yield from self._connection(token)
            if error is not None and not self._may_pass(error):
                raise error
            time.sleep(self._pause())

    def close(self) -> None:
        """Closes the connection, if there is one."""
        if self._response is not None:
            self._response.close()

    def _connection(self, token: str | None) -> Any:
        """One connection, from its opening to its loss; gives why it ended, None when it should be opened again."""
        opened = self._core.open(self._call(self._silence))
        if isinstance(opened, HoodyError):
            return opened
        self._response, self._is_opened = opened, True
        try:
            for message in self._messages(opened):
                if message.event == "end":
                    return self._ended(message, token)
                yield self._event(message)
        finally:
            opened.close()
        return None

    def _messages(self, response: Any) -> Iterator[Message]:
        """The messages of a connection. Raises HoodyError."""
        parser = self._parser()
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        chunks = response.iter_bytes()
        while chunk := _next(chunks):
            try:
                yield from parser.push(decoder.decode(chunk))
            except OverflowError:
                break
            self._read_to(parser)
        else:
            return
        raise UnreadableAnswerError("an event of the stream is too large")

    def _ended(self, message: Message, token: str | None) -> HoodyError | None:
        error = self._end(message)
        if getattr(error, "code", None) in ENDED and self._renewed != token and self._core.plan.session.can_renew:
            renewed = self._core.renew(token)
            if renewed is True:
                # A new credential that is refused at once is not renewed again.
                self._renewed = self._core.plan.session.token
                return None
            return renewed if isinstance(renewed, HoodyError) else error
        return error
