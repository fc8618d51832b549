"""What both kinds of client do alike, without a socket or a clock: requests are made here, answers judged. A call is a
generator that says what to do next; `_sync` and `_async` do it."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode, urlsplit

from ._answer import Unreadable, envelope
from ._base import Base
from ._call import Call, Failure, Reply, Wire, plain
from ._errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    ConfigurationError,
    HoodyError,
    UnreadableAnswerError,
    class_of,
)
from ._retry import after_refusal, backoff, retry_after
from ._secret import Secret, hide
from ._version import VERSION

_LARGEST = 16 * 2**20
_LARGEST_VAULT = 320 * 2**20
# 401s that tell of a code or password beside a good credential: another credential would not help.
_BESIDE = ("INVALID_OTP_CODE", "INVALID_BACKUP_CODE", "INCORRECT_PASSWORD")


@dataclass(slots=True, frozen=True)
class Attempt:
    """What hooks are told of each try. No header, query or body."""

    method: str
    path: str
    attempt: int
    """Counts the tries of a call, from 1."""
    status: int
    """Of the answer; 0 when there was none."""
    seconds: float
    request_id: str | None


@dataclass(slots=True, frozen=True)
class Settings:
    """The settings of a client that are no secret."""

    timeout: float | None
    max_retries: int
    user_agent: str
    on_response: Callable[[Attempt], None] | None = None


@dataclass(slots=True, frozen=True)
class Sleep:
    """Wait so many seconds."""

    seconds: float


@dataclass(slots=True, frozen=True, repr=False)
class Renew:
    """Renew the session, since this token was refused; answer whether there is another."""

    used: str | None


@dataclass(slots=True, frozen=True, repr=False)
class Send:
    """Send this; answer with a Reply or a Failure."""

    wire: Wire
    call: Call
    attempt: int


Effect: TypeAlias = "Sleep | Renew | Send"
Steps: TypeAlias = Generator[Effect, Any, "Any | HoodyError"]


@dataclass(slots=True, repr=False)
class Session:
    """The credential of a client, and of all clients made from it. Nothing prints it."""

    token: str | None = None
    refresh_token: str | None = None
    credentials: Mapping[str, str] | None = None
    on_tokens: Callable[[str, str], Any] | None = None
    lock: Any = field(default=None)
    """Held while the session is renewed: one refresh for all callers."""

    @property
    def needs_login(self) -> bool:
        """Whether a call needs a sign-in before it."""
        return self.token is None and (self.refresh_token is not None or self.credentials is not None)

    @property
    def can_renew(self) -> bool:
        return not (self.token or "").startswith("hdy_") and (self.refresh_token or self.credentials) is not None


def checked(token: str | None) -> str | None:
    """A credential that a header can carry as it is.

    Raises ConfigurationError.
    """
    if token is None:
        return None
    if re.fullmatch(r"[\x21-\x7e]+", token):
        return Secret(token)
    del token
    raise ConfigurationError("the credential cannot be sent: it is empty, or contains spaces or control characters")


class Plan:
    """Makes requests and judges answers, for one address with one credential."""

    def __init__(self, base: Base, session: Session, headers: Mapping[str, str], settings: Settings) -> None:
        for name in headers:
            if name.lower() in ("authorization", "host", "cookie"):
                raise ConfigurationError(f"the header {name!r} cannot be set here: use token, base_url or realm_id")
        self.base = base
        self.session = session
        self.headers: dict[str, str] = {name.lower(): Secret(value) for name, value in headers.items()}
        self.settings = settings

    def with_base(self, base: Base) -> Plan:
        return Plan(base, self.session, self.headers, self.settings)

    def with_session(self, session: Session) -> Plan:
        return Plan(self.base, session, self.headers, self.settings)

    def with_settings(self, settings: Settings) -> Plan:
        return Plan(self.base, self.session, self.headers, settings)

    def signed(self, call: Call, kind: Any) -> Steps:
        """The call with the client's credential, renewed once if the server says that it ended."""
        if call.is_anonymous or call.token is not None:
            return (yield from self.send(call, kind, call.token))
        if self.session.needs_login:
            yield Renew(None)
        used = self.session.token
        answer = yield from self.send(call, kind, used)
        is_ended = isinstance(answer, APIError) and answer.status == 401 and answer.code not in _BESIDE
        if is_ended and self.session.can_renew and (yield Renew(used)):
            answer = yield from self.send(call, kind, self.session.token)
        return answer

    def send(self, call: Call, kind: Any, token: str | None) -> Steps:
        """The first answer that is a success, or why there is none."""
        wire = self._wire(call, token)
        if isinstance(wire, HoodyError):
            return wire
        tries = 1 + max(0, self.settings.max_retries)
        for tried in range(1, tries + 1):
            reply = yield Send(wire, call, tried)
            answer = self._failure(call, reply) if isinstance(reply, Failure) else self._judge(call, kind, reply)
            pause = None
            if isinstance(answer, APIError):
                pause = after_refusal(call.is_repeatable, answer, tried, tries - tried)
            elif isinstance(answer, APIConnectionError) and not isinstance(answer, APITimeoutError):
                # What took its whole time once will take it again.
                pause = backoff(tried) if call.is_repeatable and tried < tries else None
            if pause is None:
                return answer
            yield Sleep(pause)
        raise AssertionError("the last try has no pause")

    def renewal(self, used: str | None) -> Steps:
        """Renews the session unless another did. Gives True, False when there is nothing to renew it with, or an error.
        Runs under the session's lock."""
        session = self.session
        if session.token != used:
            return True
        pair: Any = None
        if session.refresh_token is not None:
            pair = yield from self._session("/api/v1/users/auth/refresh", {"refreshToken": session.refresh_token})
            if isinstance(pair, APIError) and pair.status == 401:
                # The session ended. Asking again would not help.
                session.refresh_token = pair = None
        if pair is None and session.credentials is not None:
            pair = yield from self._session("/api/v1/users/auth/login", session.credentials)
        if pair is None or isinstance(pair, HoodyError):
            return False if pair is None else pair
        session.token, session.refresh_token = Secret(pair[0]), Secret(pair[1])
        return True

    def _session(self, path: str, body: Mapping[str, str]) -> Steps:
        """A new pair of tokens, None when a second factor is asked for, or an error."""
        answer = yield from self.send(Call("POST", path, body=body, is_anonymous=True), Any, None)
        if isinstance(answer, HoodyError):
            return answer
        data = answer["data"] if isinstance(answer["data"], dict) else {}
        pair = (data.get("token"), data.get("refreshToken"))
        return pair if all(isinstance(one, str) for one in pair) else None

    def _wire(self, call: Call, token: str | None) -> Wire | HoodyError:
        args = list(call.args)
        # These would name another route.
        if any(one in ("", ".", "..") for one in args):
            return ConfigurationError(f"{call.path}: an id is empty, '.' or '..'")
        path = re.sub(r"\{\w+\}", lambda _: quote(str(args.pop(0)), safe="!'()*"), call.path)
        query = {name: _word(value) for name, value in plain(call.query).items() if value is not None}
        url = self.base.address + path + (f"?{urlencode(query, quote_via=quote, safe='*')}" if query else "")
        headers = {"accept": "application/json", "user-agent": self.settings.user_agent, **self.headers, **call.headers}
        extensions: dict[str, Any] = {}
        if self.base.dialled is not None:
            headers["host"] = self.base.authority
            extensions["sni_hostname"] = self.base.host
        if token is not None:
            headers["authorization"] = Secret(f"Bearer {token}")
        content = None
        if call.body is not None:
            headers["content-type"] = "application/json"
            content = json.dumps(plain(call.body), ensure_ascii=False, separators=(",", ":")).encode()
        largest = _LARGEST_VAULT if call.is_large else _LARGEST
        return Wire(call.method, url, headers, content, extensions, self.settings.timeout, largest, call.silence)

    def _judge(self, call: Call, kind: Any, reply: Reply) -> Any | HoodyError:
        """The parts of an envelope, None for an answer without a body, an open stream, or an error."""
        status, is_good = reply.status, 200 <= reply.status < 300
        if 300 <= status < 400:
            where = _origin(reply.headers.get("location", ""), self.base.origin)
            return UnreadableAnswerError(
                f"the server redirects {call.name} to {where}: use that as base_url if you trust it"
            )
        if is_good and reply.stream is not None:
            return reply.stream
        if reply.body is None:
            return UnreadableAnswerError(f"the answer to {call.name} is too large")
        if status == 204:
            return None
        body = _parsed(reply.body)
        if not is_good:
            return _refusal(call, reply, body if isinstance(body, dict) else {})
        what = f"cannot read the answer to {call.name} (HTTP {status})"
        if not isinstance(body, dict):
            return UnreadableAnswerError(f"{what}: {len(reply.body)} bytes that are no JSON object")
        try:
            return envelope(kind, body)
        except Unreadable as unreadable:
            place = str(unreadable)
        return UnreadableAnswerError(f"{what}: unexpected at {place}")

    def _failure(self, call: Call, failure: Failure) -> HoodyError:
        origin = self.base.origin
        if failure.is_timeout:
            text = f"no answer from {origin} to {call.name} in time"
            return APITimeoutError(text, call.method, call.path, call.is_change)
        what = (
            f"cannot reach {origin}"
            if failure.is_unsent
            else f"the connection to {origin} broke before the answer to {call.name} was complete"
        )
        is_unknown = call.is_change and not failure.is_unsent
        return APIConnectionError(f"{what} ({failure.name})", call.method, call.path, is_unknown)


def _refusal(call: Call, reply: Reply, body: Mapping[str, Any]) -> APIError:
    def word(key: str) -> str:
        value = body.get(key)
        return value if isinstance(value, str) else ""

    # Other servers of this contract give some codes in `error` alone.
    error = word("error")
    code = word("code") or (error if re.fullmatch(r"[A-Z][A-Z0-9_]*", error) else "")
    doubt = "; it may have been done" if reply.status >= 500 and call.is_change else ""
    return class_of(reply.status)(
        word("message") or f"the server answered {reply.status} to {call.name}{doubt}",
        status=reply.status,
        code=code,
        method=call.method,
        path=call.path,
        data=body.get("data"),
        request_id=reply.headers.get("x-request-id"),
        retry_after=retry_after(reply.headers),
    )


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _origin(location: str, here: str) -> str:
    """Scheme, host and port of a redirect's target: its path and query may hold what must not be shown."""
    url = urlsplit(location)
    found = f"{url.scheme}://{url.netloc.rsplit('@', 1)[-1]}"
    return "another path" if not url.scheme or not url.netloc or found == here else found


def agent() -> str:
    """How the client calls itself."""
    return f"hoody-python/{VERSION} (python {platform.python_version()})"


def session(
    token: str | None,
    refresh_token: str | None,
    username: str | None,
    email: str | None,
    password: str | None,
    on_tokens: Callable[[str, str], Any] | None,
    lock: Any,
) -> Session:
    """The session that the settings of a client ask for.

    Raises ConfigurationError when they do not fit together.
    """
    names = {key: value for key, value in (("username", username), ("email", email)) if value is not None}
    token, refresh_token, password = hide(token), hide(refresh_token), hide(password)
    if bool(names) != (password is not None) or len(names) > 1:
        raise ConfigurationError("to sign in give a password, and either username or email")
    credentials = {**names, "password": Secret(password)} if password is not None else None
    return Session(checked(token), checked(refresh_token), credentials, on_tokens, lock)
