"""The clients."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

import anyio
import httpx2

from . import _resources_async, _resources_sync
from ._async import AsyncCore
from ._base import Base
from ._core import Attempt, Plan, Session, Settings, agent, checked, session
from ._errors import ConfigurationError, HoodyError
from ._secret import hide
from ._sync import SyncCore

_SECOND = "the account asks for a second factor: use authentication.login and tfa.verify"


def _plan(
    base_url: str, realm_id: str | None, session: Session, headers: Mapping[str, str] | None, settings: Settings
) -> Plan:
    base = Base.parse(base_url)
    return Plan(base if realm_id is None else base.in_realm(realm_id), session, headers or {}, settings)


def _library(base: Base) -> dict[str, Any]:
    # The environment's proxies are for other hosts than this machine.
    return {"follow_redirects": False, "trust_env": not base.is_loopback, "timeout": None}


class Hoody(_resources_sync.Resources):
    """Speaks to one hoody server with one credential, for threads. Nothing that it prints shows the credential.

        with Hoody("https://api.example.com", token=os.environ["HOODY_TOKEN"]) as client:
            for project in client.projects.list():
                print(project.alias)

    `base_url` is where the server is. `token` is a session's access token or an `hdy_` token. With `refresh_token`, or
    `password` and `username` or `email`, the session is renewed when the server says that it ended, once for all
    threads; `on_tokens` gets each new pair. `realm_id` speaks to that realm's host. `timeout` is the seconds that one
    try may take, None for no limit; `max_retries` how often a call is sent again at most, where that is safe. `headers`
    go with every request. `http_client` is an `httpx2.Client`, or one that is used alike; it is not closed.
    `on_response` is told after each try.

    Raises ConfigurationError when the settings cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        refresh_token: str | None = None,
        username: str | None = None,
        email: str | None = None,
        password: str | None = None,
        on_tokens: Callable[[str, str], object] | None = None,
        realm_id: str | None = None,
        timeout: float | None = 30.0,
        max_retries: int = 2,
        headers: Mapping[str, str] | None = None,
        http_client: Any = None,
        on_response: Callable[[Attempt], None] | None = None,
    ) -> None:
        token, refresh_token, password = hide(token), hide(refresh_token), hide(password)
        kept = session(token, refresh_token, username, email, password, on_tokens, threading.Lock())
        settings = Settings(timeout, max_retries, agent(), on_response)
        headers = {name: hide(value) for name, value in (headers or {}).items()}
        plan = _plan(base_url, realm_id, kept, headers, settings)
        self._is_owner = http_client is None
        self._begin(SyncCore(plan, http_client or httpx2.Client(**_library(plan.base))))

    def _begin(self, core: SyncCore) -> None:
        self._core = core
        super().__init__(core)

    @classmethod
    def authenticate(
        cls,
        base_url: str,
        *,
        password: str,
        username: str | None = None,
        email: str | None = None,
        **settings: Any,
    ) -> Hoody:
        """A client that has signed in, and keeps the session. Raises HoodyError, also for an account with a second
        factor."""
        password = hide(password)
        client = cls(base_url, username=username, email=email, password=password, **settings)
        renewed = client._core.renew(None)
        if renewed is not True:
            client.close()
            raise renewed if isinstance(renewed, HoodyError) else ConfigurationError(_SECOND)
        return client

    @property
    def base_url(self) -> str:
        """The address that calls go to."""
        return self._core.plan.base.href

    def with_realm(self, realm_id: str) -> Hoody:
        """The same client on the realm's host. Both share one session."""
        return self._with(self._core.plan.with_base(self._core.plan.base.in_realm(realm_id)))

    def with_token(self, token: str) -> Hoody:
        """A client of the same server with another credential."""
        token = hide(token)
        return self._with(self._core.plan.with_session(Session(checked(token), lock=threading.Lock())))

    def with_options(self, *, timeout: float | None, max_retries: int | None = None) -> Hoody:
        """The same client with other settings for its calls."""
        old = self._core.plan.settings
        retries = old.max_retries if max_retries is None else max_retries
        return self._with(self._core.plan.with_settings(Settings(timeout, retries, old.user_agent, old.on_response)))

    def _with(self, plan: Plan) -> Hoody:
        other = object.__new__(type(self))
        other._is_owner = False
        other._begin(SyncCore(plan, self._core.http))
        return other

    def check(self, permission: str | None = None) -> None:
        """Whether the credential works here and now, and may do this: returns, or raises the refusal. It asks for the
        address that this program calls from. `GET /api/v1/auth/check`
        """
        self._core.call("GET /api/v1/auth/check", None, query={"permission": permission})

    def close(self) -> None:
        """Closes its connections."""
        if self._is_owner:
            self._core.http.close()

    def __enter__(self) -> Hoody:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        core = getattr(self, "_core", None)
        return f"Hoody({core.plan.base.href!r})" if core else "Hoody()"


class AsyncHoody(_resources_async.Resources):
    """Speaks to one hoody server with one credential, for asyncio and trio. Its settings are those of `Hoody`;
    `on_tokens` may be a coroutine function.

    async with AsyncHoody("https://api.example.com", token=os.environ["HOODY_TOKEN"]) as client:
        async for project in client.projects.list():
            print(project.alias)
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        refresh_token: str | None = None,
        username: str | None = None,
        email: str | None = None,
        password: str | None = None,
        on_tokens: Callable[[str, str], object] | None = None,
        realm_id: str | None = None,
        timeout: float | None = 30.0,
        max_retries: int = 2,
        headers: Mapping[str, str] | None = None,
        http_client: Any = None,
        on_response: Callable[[Attempt], None] | None = None,
    ) -> None:
        token, refresh_token, password = hide(token), hide(refresh_token), hide(password)
        kept = session(token, refresh_token, username, email, password, on_tokens, anyio.Lock())
        settings = Settings(timeout, max_retries, agent(), on_response)
        headers = {name: hide(value) for name, value in (headers or {}).items()}
        plan = _plan(base_url, realm_id, kept, headers, settings)
        self._is_owner = http_client is None
        self._begin(AsyncCore(plan, http_client or httpx2.AsyncClient(**_library(plan.base))))

    def _begin(self, core: AsyncCore) -> None:
        self._core = core
        super().__init__(core)

    @classmethod
    async def authenticate(
        cls,
        base_url: str,
        *,
        password: str,
        username: str | None = None,
        email: str | None = None,
        **settings: Any,
    ) -> AsyncHoody:
        """A client that has signed in, and keeps the session. Raises HoodyError, also for an account with a second
        factor."""
        password = hide(password)
        client = cls(base_url, username=username, email=email, password=password, **settings)
        renewed = await client._core.renew(None)
        if renewed is not True:
            await client.aclose()
            raise renewed if isinstance(renewed, HoodyError) else ConfigurationError(_SECOND)
        return client

    @property
    def base_url(self) -> str:
        """The address that calls go to."""
        return self._core.plan.base.href

    def with_realm(self, realm_id: str) -> AsyncHoody:
        """The same client on the realm's host. Both share one session."""
        return self._with(self._core.plan.with_base(self._core.plan.base.in_realm(realm_id)))

    def with_token(self, token: str) -> AsyncHoody:
        """A client of the same server with another credential."""
        token = hide(token)
        return self._with(self._core.plan.with_session(Session(checked(token), lock=anyio.Lock())))

    def with_options(self, *, timeout: float | None, max_retries: int | None = None) -> AsyncHoody:
        """The same client with other settings for its calls."""
        old = self._core.plan.settings
        retries = old.max_retries if max_retries is None else max_retries
        return self._with(self._core.plan.with_settings(Settings(timeout, retries, old.user_agent, old.on_response)))

    def _with(self, plan: Plan) -> AsyncHoody:
        other = object.__new__(type(self))
        other._is_owner = False
        other._begin(AsyncCore(plan, self._core.http))
        return other

    async def check(self, permission: str | None = None) -> None:
        """Whether the credential works here and now, and may do this: returns, or raises the refusal. It asks for the
        address that this program calls from. `GET /api/v1/auth/check`
        """
        await self._core.call("GET /api/v1/auth/check", None, query={"permission": permission})

    async def aclose(self) -> None:
        """Closes its connections."""
        if self._is_owner:
            await self._core.http.aclose()

    async def __aenter__(self) -> AsyncHoody:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        core = getattr(self, "_core", None)
        return f"AsyncHoody({core.plan.base.href!r})" if core else "AsyncHoody()"
