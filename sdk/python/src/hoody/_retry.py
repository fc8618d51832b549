"""When to send again, and after how long. The rules are those of crates/client/src/retry.rs; sdk/conformance.json holds
all clients to them."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from ._errors import OUTCOME_UNKNOWN, APIError

LONGEST = 30.0
"""The longest pause between two tries, in seconds."""
_FIRST = 0.2
_DATE = re.compile(r"\w{3}, (\d\d) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT", re.ASCII)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def after_refusal(is_repeatable: bool, refusal: APIError, tried: int, left: int) -> float | None:
    """Seconds until the next try after this refusal, or None: give it to the caller. `is_repeatable` when a second time
    does what the first did; `left` counts the tries that remain."""
    if left <= 0 or refusal.code == OUTCOME_UNKNOWN or refusal.status not in (429, 503):
        return None
    wanted = refusal.retry_after
    if wanted is None:
        return backoff(tried) if is_repeatable else None
    # A wait that the remaining pauses cannot cover is not begun.
    return None if wanted > LONGEST * left else min(wanted, LONGEST)


def backoff(tried: int) -> float:
    """Twice as long each time, with up to half as much again, so that clients do not march in step."""
    pause: float = min(_FIRST * 2 ** min(tried - 1, 20), LONGEST / 1.5)
    return pause * (1 + random.random() / 2)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait. A date is measured against the answer's own `Date`, so that the two clocks need not agree."""
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    until, now = _http_date(text), _http_date(headers.get("date", ""))
    return None if until is None or now is None else max(0.0, (until - now).total_seconds())


def _http_date(text: str) -> datetime | None:
    found = _DATE.fullmatch(text)
    if not found or found[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(found[at]) for at in (1, 3, 4, 5, 6))
    try:
        return datetime(year, _MONTHS.index(found[2]) + 1, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
