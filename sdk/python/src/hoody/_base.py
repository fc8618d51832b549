"""Where the server is: the base address, and the realm's host made from it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from ._errors import ConfigurationError

_REALM = re.compile(r"[0-9a-f]{24}")


@dataclass(slots=True, frozen=True)
class Base:
    """The address of a server, checked: `http` or `https`, a host, and a path before `/api/v1` if it has one."""

    scheme: str
    host: str
    port: int | None
    path: str
    dialled: str | None
    """The loopback address that a name below `localhost` is dialled at: the system's resolver may not know it."""

    @classmethod
    def parse(cls, text: str) -> Base:
        """Reads a base address. `/api/v1` at its end is taken off: every route begins with it."""
        why = _wrong(text)
        if why:
            raise ConfigurationError(f"base_url {_shown(text)!r} cannot be used: {why}")
        url = urlsplit(text)
        host = (url.hostname or "").lower()
        host = f"[{host}]" if ":" in host else host
        path = url.path.rstrip("/")
        path = path.removesuffix("/api/v1") if path.endswith("/api/v1") else path
        port = None if url.port == {"http": 80, "https": 443}[url.scheme] else url.port
        return cls(url.scheme, host, port, path.rstrip("/"), None if is_address(host) else _loopback(host))

    def in_realm(self, realm: str) -> Base:
        """The same server on the realm's host: `{realm}.` before the name, or `{realm}.api.localhost` for loopback."""
        if not _REALM.fullmatch(realm):
            raise ConfigurationError("realm_id must be 24 lowercase hex digits")
        host = self.host
        if is_address(host):
            if not ipaddress.ip_address(host.strip("[]")).is_loopback:
                raise ConfigurationError(f"a realm needs a host name: {host} is a bare address")
            return Base(self.scheme, f"{realm}.api.localhost", self.port, self.path, host)
        name = f"{realm}.api.localhost" if host == "localhost" else f"{realm}.{_without_realm(host)}"
        return Base(self.scheme, name, self.port, self.path, self.dialled or _loopback(name))

    @property
    def authority(self) -> str:
        """Host and port, as a `Host` header has them."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://{self.authority}"

    @property
    def href(self) -> str:
        """The whole address, without a slash at its end."""
        return self.origin + self.path

    @property
    def address(self) -> str:
        """The address that is dialled, with the path."""
        if self.dialled is None:
            return self.href
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{self.dialled}{port}{self.path}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can be behind it."""
        if is_address(self.host):
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        return self.dialled is not None


def is_address(host: str) -> bool:
    """Whether the host is a bare address."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _wrong(text: str) -> str | None:
    try:
        url = urlsplit(text)
        is_plain = url.port is None or url.port >= 0
    except ValueError:
        return "it is not an address such as https://api.example.com"
    if not url.scheme or not is_plain or re.search(r"[\s\x00-\x1f]", text):
        return "it is not an address such as https://api.example.com"
    if url.scheme not in ("http", "https"):
        return "it must start with http:// or https://"
    if not url.hostname:
        return "it has no host"
    if "@" in url.netloc or url.query or url.fragment or "?" in text or "#" in text:
        return "it must have no user, no password, no query and no fragment"
    return None


def _loopback(host: str) -> str | None:
    name = host.removesuffix(".")
    return "127.0.0.1" if name == "localhost" or name.endswith(".localhost") else None


def _without_realm(host: str) -> str:
    label, _, rest = host.partition(".")
    return rest if rest and _REALM.fullmatch(label) else host


def _shown(text: str) -> str:
    """The address as it may be shown: without user, password, query and fragment."""
    address = re.split(r"[?#]", str(text))[0]
    scheme, mark, rest = address.partition("://")
    if not mark:
        return address.rsplit("@", 1)[-1]
    return scheme + mark + rest.rsplit("@", 1)[-1]
