"""Values that no repr shows."""

from __future__ import annotations

import re
from typing import Any, TypeVar, cast

T = TypeVar("T")

_SECRETS = re.compile(r"(hdy_)[0-9A-Za-z]{20,}|(eyJ)[\w-]+\.[\w-]+\.[\w-]+|(whsec_)[\w+/=-]{16,}", re.ASCII)


class Secret(str):
    """A text that its repr does not show, so neither does a dataclass, a traceback's locals or a debugger. `str()`,
    an f-string and a header have it as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('***')"


def hide(value: T) -> T:
    """The value as one that no repr shows, if it is a text."""
    return cast(T, Secret(value)) if type(value) is str else value


def mask(text: str) -> str:
    """The text with every credential in it masked."""
    return _SECRETS.sub(lambda found: f"{found[1] or found[2] or found[3]}***", text)


def mask_all(value: Any) -> Any:
    """The same for everything below a JSON value."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, list):
        return [mask_all(one) for one in value]
    if isinstance(value, dict):
        return {key: mask_all(one) for key, one in value.items()}
    return value
