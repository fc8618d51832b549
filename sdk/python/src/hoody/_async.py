"""The client's hands for asyncio and trio: sends, waits, walks lists, reads streams."""

from __future__ import annotations

import codecs
import inspect
import time
from collections.abc import AsyncIterator, Generator, Mapping
from typing import Any, Generic, TypeVar

import anyio

from . import types as t
from ._answer import Envelope
from ._call import OMIT, Call, Failure, Omit, Reply, Wire, is_failure
from ._core import Attempt, Plan, Renew, Send, Sleep, Steps
from ._errors import HoodyError, UnreadableAnswerError
from ._list import items_of, next_query
from ._secret import hide
from ._sse import Message
from ._stream import ENDED, StreamState
from ._sync import request_of

E = TypeVar("E")
T = TypeVar("T")


class AsyncCore:
    """Sends calls."""

    def __init__(self, plan: Plan, http: Any) -> None:
        self.plan = plan
        self.http = http

    async def call(self, route: str, kind: Any, **details: Any) -> Any:
        """Sends the call and gives its envelope. Raises HoodyError."""
        method, _, path = route.partition(" ")
        details["token"] = hide(details.get("token"))
        answer = await self._run(self.plan.signed(Call(method, path, **details), kind))
        if isinstance(answer, HoodyError):
            raise answer
        return Envelope(**answer) if isinstance(answer, dict) else answer

    def list(self, route: str, kind: Any, rule: Mapping[str, str], **details: Any) -> Any:
        """A list that is sent when it is awaited or iterated."""

        async def page(query: Mapping[str, Any]) -> Envelope[Any]:
            answer: Envelope[Any] = await self.call(route, kind, **{**details, "query": query})
            return answer

        query = {key: value for key, value in details.get("query", {}).items() if value is not OMIT}
        return AsyncPage(page, query, rule)

    async def open(self, call: Call) -> Any:
        """A stream that is open, or why there is none."""
        return await self._run(self.plan.signed(call, None))

    async def renew(self, used: str | None) -> Any:
        """True when the session has another token than this one, False, or an error."""
        session = self.plan.session
        async with session.lock:
            before = session.token
            renewed = await self._run(self.plan.renewal(used))
            if renewed is True and session.token is not before and session.on_tokens is not None:
                told = session.on_tokens(str(session.token), str(session.refresh_token))
                if inspect.isawaitable(told):
                    await told
        return renewed

    async def _run(self, steps: Steps) -> Any:
        result: Any = None
        while True:
            try:
                effect = steps.send(result)
            except StopIteration as stop:
                return stop.value
            if isinstance(effect, Sleep):
                await anyio.sleep(effect.seconds)
            elif isinstance(effect, Renew):
                result = await self.renew(effect.used)
                if isinstance(result, HoodyError):
                    return result
            else:
                result = await self._try(effect)

    async def _try(self, send: Send) -> Reply | Failure:
        began = time.monotonic()
        reply = await self._exchange(send.wire)
        on_response = self.plan.settings.on_response
        if on_response is not None:
            status = 0 if isinstance(reply, Failure) else reply.status
            request_id = None if isinstance(reply, Failure) else reply.headers.get("x-request-id")
            call = send.call
            on_response(Attempt(call.method, call.path, send.attempt, status, time.monotonic() - began, request_id))
        return reply

    async def _exchange(self, wire: Wire) -> Reply | Failure:
        with anyio.move_on_after(wire.timeout):
            try:
                response = await self.http.send(request_of(self.http, wire), stream=True, follow_redirects=False)
                if wire.silence is not None and response.status_code == 200:
                    return Reply(200, response.headers, b"", response)
                try:
                    return await _read(response, wire.largest)
                finally:
                    with anyio.CancelScope(shield=True):
                        await response.aclose()
            except Exception as error:
                if not is_failure(error):
                    raise
                return Failure.of(error)
        return Failure("ReadTimeout", is_timeout=True)


async def _read(response: Any, largest: int) -> Reply:
    chunks, size = [], 0
    async for chunk in response.aiter_bytes():
        size += len(chunk)
        if size > largest:
            return Reply(response.status_code, response.headers, None)
        chunks.append(chunk)
    return Reply(response.status_code, response.headers, b"".join(chunks))


class AsyncPage(Generic[E, T]):
    """A list. Await it for one page in its envelope, or iterate it with `async for` for all of its items."""

    def __init__(self, page: Any, query: Mapping[str, Any], rule: Mapping[str, str]) -> None:
        self._page = page
        self._query = query
        self._rule = rule

    def __await__(self) -> Generator[Any, None, Envelope[E]]:
        answer: Generator[Any, None, Envelope[E]] = self._page(self._query).__await__()
        return answer

    async def __aiter__(self) -> AsyncIterator[T]:
        query: Mapping[str, Any] | None = self._query
        while query is not None:
            answer = await self._page(query)
            for item in items_of(answer, self._rule):
                yield item
            query = next_query(answer, query, self._rule)

    async def to_list(self, limit: int | None = None) -> list[T]:
        """All items, or the first so many."""
        found: list[T] = []
        if limit is not None and limit <= 0:
            return found
        async for item in self:
            found.append(item)
            if len(found) == limit:
                break
        return found


class AsyncEvents:
    """What `client.events` has beside the routes that are plain calls."""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    def stream(
        self,
        *,
        event_type: str | Omit = OMIT,
        resource_type: str | Omit = OMIT,
        realm_id: str | Omit = OMIT,
        after: str | Omit | None = OMIT,
        silence: float = 45.0,
    ) -> AsyncEventStream:
        """Events as they happen. `event_type` has commas between types: `auth.token.*,project.created`. `after` is a
        cursor to go on from; without one the stream begins now. After `silence` seconds without a word the connection
        is made anew. `GET /api/v1/events/stream`
        """
        query = {"event_type": event_type, "resource_type": resource_type, "realm_id": realm_id}
        return AsyncEventStream(self._core, query, None if isinstance(after, Omit) else after, silence)


class AsyncEventStream(StreamState):
    """Events as they happen, for `async for`. When the connection is lost, or silent for too long, it is made anew and
    goes on after the last event, without gap or double. It ends by an error or by `break`; close it with `aclosing`
    to end its connection at once."""

    def __init__(self, core: AsyncCore, query: Mapping[str, Any], after: str | None, silence: float) -> None:
        super().__init__(query, after)
        self._core = core
        self._silence = silence
        self._response: Any = None

    async def __aiter__(self) -> AsyncIterator[t.Event]:
        while True:
            token = self._core.plan.session.token
            error: HoodyError | None = None
            opened = await self._core.open(self._call(self._silence))
            if isinstance(opened, HoodyError):
                error = opened
            else:
                self._response, self._is_opened = opened, True
                try:
                    async for message in self._messages(opened):
                        if message.event == "end":
                            error = await self._ended(message, token)
                            break
                        yield self._event(message)
                finally:
                    await self.aclose()
            if error is not None and not self._may_pass(error):
                raise error
            await anyio.sleep(self._pause())

    async def aclose(self) -> None:
        """Closes the connection, if there is one."""
        response, self._response = self._response, None
        if response is not None:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    async def _messages(self, response: Any) -> AsyncIterator[Message]:
        """The messages of a connection. Raises HoodyError."""
        parser = self._parser()
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        chunks = response.aiter_bytes()
        while chunk := await _next(chunks):
            try:
                for message in parser.push(decoder.decode(chunk)):
                    yield message
            except OverflowError:
                break
            self._read_to(parser)
        else:
            return
        raise UnreadableAnswerError("an event of the stream is too large")

    async def _ended(self, message: Message, token: str | None) -> HoodyError | None:
        error = self._end(message)
        if getattr(error, "code", None) in ENDED and self._renewed != token and self._core.plan.session.can_renew:
            renewed = await self._core.renew(token)
            if renewed is True:
                # A new credential that is refused at once is not renewed again.
                self._renewed = self._core.plan.session.token
                return None
            return renewed if isinstance(renewed, HoodyError) else error
        return error


async def _next(chunks: AsyncIterator[bytes]) -> bytes:
    """The next piece of a stream; nothing when it ends, is lost or is silent."""
    try:
        return await anext(chunks, b"")
    except Exception as error:
        if not is_failure(error):
            raise
    return b""
