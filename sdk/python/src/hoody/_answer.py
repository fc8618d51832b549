"""Answers: the envelope, and JSON read into the dataclasses of `hoody.types`."""

from __future__ import annotations

import dataclasses
import functools
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ._secret import Secret

D = TypeVar("D")


@dataclass(slots=True, frozen=True, kw_only=True)
class PageMetadata:
    """Where a page of a log stands."""

    total: int
    page: int
    limit: int
    pages: int


@dataclass(kw_only=True)
class Envelope(Generic[D]):
    """What every answer is: `data`, in its envelope."""

    status_code: int
    message: str
    data: D
    metadata: PageMetadata | None = None
    """Where this page stands, of a log."""
    truncated: bool = False
    """Whether a list left out what the caller must not see."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON has it, secrets included."""
        found = {"statusCode": self.status_code, "message": self.message, "data": to_json(self.data)}
        if self.metadata is not None:
            found["metadata"] = dataclasses.asdict(self.metadata)
        return {**found, "truncated": True} if self.truncated else found


class Unreadable(Exception):
    """The value is not what its type says. The argument is its place, never the value."""


def envelope(kind: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    """The parts of an envelope, with `data` of this kind.

    Raises Unreadable.
    """
    metadata = body.get("metadata")
    known = ("statusCode", "message", "data", "metadata", "truncated")
    return {
        "status_code": body.get("statusCode", 0),
        "message": body.get("message", ""),
        "data": None if kind is None else read(kind, body.get("data"), "data"),
        "metadata": PageMetadata(**{key: metadata.get(key, 0) for key in ("total", "page", "limit", "pages")})
        if isinstance(metadata, dict)
        else None,
        "truncated": body.get("truncated") is True,
        "extra": {key: value for key, value in body.items() if key not in known},
    }


def read(kind: Any, value: Any, place: str) -> Any:
    """The JSON value as this type. What is unknown is kept: fields in `extra`, words outside an enumeration as they
    are.

    Raises Unreadable, with the place, where a field that must be there is not.
    """
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _read_union(get_args(kind), value, place)
    if value is None or kind is Any or origin is Literal:
        return value
    if is_record(kind):
        return _read_object(kind, value, place)
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return [read(get_args(kind)[0], one, f"{place}[{at}]") for at, one in enumerate(_is(list, value, place))]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        inner = get_args(kind)[1]
        return {key: read(inner, one, f"{place}.{key}") for key, one in _is(dict, value, place).items()}
    if kind is Secret:
        return Secret(_is(str, value, place))
    if kind is datetime:
        return _read_time(value, place)
    return value


def is_record(kind: Any) -> bool:
    """Whether it is a class of `hoody.types`."""
    return hasattr(kind, "__dataclass_fields__")


def _read_union(kinds: tuple[Any, ...], value: Any, place: str) -> Any:
    if value is None:
        return None
    kinds = tuple(kind for kind in kinds if kind is not type(None))
    if len(kinds) == 1:
        return read(kinds[0], value, place)
    if isinstance(value, dict):
        for kind in kinds:
            if is_record(kind) and _needed(kind) <= value.keys():
                return read(kind, value, place)
        raise Unreadable(place)
    return value


def _read_object(kind: Any, value: Any, place: str) -> Any:
    given = dict(_is(dict, value, place))
    found = {}
    for name, wire, inner, is_needed in _fields(kind):
        if wire in given:
            found[name] = read(inner, given.pop(wire), f"{place}.{wire}")
        elif is_needed:
            raise Unreadable(f"{place}.{wire}")
    return kind(**found, extra=given)


def _read_time(value: Any, place: str) -> datetime:
    try:
        moment = datetime.fromisoformat(_is(str, value, place))
    except ValueError:
        raise Unreadable(place) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is(kind: type[D], value: Any, place: str) -> D:
    if not isinstance(value, kind):
        raise Unreadable(place)
    return value


@functools.cache
def _fields(kind: Any) -> list[tuple[str, str, Any, bool]]:
    """Name, name on the wire, type, and whether it must be there, of each field of a dataclass."""
    hints = get_type_hints(kind, vars(sys.modules[kind.__module__]))
    return [
        (one.name, one.metadata.get("wire", one.name), hints[one.name], one.default is dataclasses.MISSING)
        for one in dataclasses.fields(kind)
        if one.name != "extra"
    ]


@functools.cache
def _needed(kind: Any) -> frozenset[str]:
    return frozenset(wire for _, wire, _, is_needed in _fields(kind) if is_needed)


def to_json(value: Any) -> Any:
    """A value of `hoody.types` as JSON has it, with the server's names; secrets as they are."""
    kind: Any = type(value)
    if is_record(kind):
        given = {wire: getattr(value, name) for name, wire, _, _ in _fields(kind)}
        return {key: to_json(one) for key, one in given.items() if one is not None} | dict(getattr(value, "extra", {}))
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, (list, tuple)):
        return [to_json(one) for one in value]
    if isinstance(value, dict):
        return {key: to_json(one) for key, one in value.items()}
    return value
