"""How lists go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._errors import HoodyError

LAST_ROW = 10_000
"""Rows of a log are reached up to this one."""


def items_of(answer: Any, rule: Mapping[str, str]) -> list[Any]:
    """The items of a page."""
    return list(_at(answer, rule["items"]) or [])


def next_query(answer: Any, query: Mapping[str, Any], rule: Mapping[str, str]) -> dict[str, Any] | None:
    """The query of the next page, None at the end.

    Raises HoodyError where the server has more, and no page leads to it.
    """
    items = items_of(answer, rule)
    if rule["style"] == "whole" or not items:
        return None
    if rule["style"] == "events":
        return _next_events(answer.data.pagination, query)
    # A log that is read from a row on has no pages: the next part begins after the last row.
    if query.get("before") is not None:
        return {**query, "before": items[-1].id}
    page = int(query.get("page") or 1)
    is_full = len(items) >= int(query.get("limit") or 50)
    if page >= _at(answer, rule["pages"]) if "pages" in rule else not is_full:
        return None
    if answer.metadata is not None and page * answer.metadata.limit >= LAST_ROW:
        raise HoodyError(f"a log can be paged only to row {LAST_ROW:,}: narrow the dates")
    return {**query, "page": page + 1}


def _next_events(pagination: Any, query: Mapping[str, Any]) -> dict[str, Any] | None:
    if not pagination.has_more:
        return None
    if query.get("after") is not None:
        return {**query, "after": pagination.next_cursor} if pagination.next_cursor else None
    return {**query, "offset": pagination.offset + pagination.limit}


def _at(answer: Any, path: str) -> Any:
    for key in path.split("."):
        answer = getattr(answer, "total_pages" if key == "totalPages" else key)
    return answer
