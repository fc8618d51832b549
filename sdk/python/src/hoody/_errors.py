"""What can go wrong. No error holds a secret: no header, no query, no body, and credentials in the server's words are
masked. None has a cause or a context, since those would hold the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._secret import mask, mask_all

OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"


class HoodyError(Exception):
    """Every error of this package."""

    is_outcome_unknown: bool = False
    """Whether a change may have been made although the call failed. Read what it concerns before you repeat it."""

    def __init__(self, message: str) -> None:
        self.message: str = mask(message)
        super().__init__(self.message)


class ConfigurationError(HoodyError):
    """The client cannot be made, or the call cannot be sent: nothing was sent."""


class APIConnectionError(HoodyError):
    """No answer: the server cannot be reached, or the connection broke."""

    def __init__(self, message: str, method: str, path: str, is_outcome_unknown: bool) -> None:
        super().__init__(message)
        self.method: str = method
        self.path: str = path
        self.is_outcome_unknown: bool = is_outcome_unknown


class APITimeoutError(APIConnectionError):
    """No answer within `timeout`."""


class UnreadableAnswerError(HoodyError):
    """The answer cannot be read, is too large, or is a redirect, which is never followed."""


class StreamEndedError(HoodyError):
    """The server ended a stream for a reason that opening it again does not change. `code` names the reason."""

    def __init__(self, message: str, code: str, resume_after: str | None) -> None:
        super().__init__(message)
        self.code: str = code
        self.resume_after: str | None = resume_after


@dataclass(slots=True, frozen=True)
class Violation:
    """What is wrong in a body: a JSON pointer and a sentence."""

    instance_path: str
    message: str


class APIError(HoodyError):
    """The server refused. Branch on `code`; see docs/errors.md."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        method: str,
        path: str,
        data: Any = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status: int = status
        self.code: str = code
        self.method: str = method
        self.path: str = path
        self.data: Any = mask_all(data)
        self.request_id: str | None = request_id
        self.retry_after: float | None = retry_after
        self.is_outcome_unknown: bool = code == OUTCOME_UNKNOWN

    @property
    def violations(self) -> list[Violation]:
        """What is wrong in the body, of a 422."""
        if self.status != 422 or not isinstance(self.data, list):
            return []
        found = [one for one in self.data if isinstance(one, dict)]
        return [Violation(str(one.get("instancePath", "")), str(one.get("message", ""))) for one in found]


class BadRequestError(APIError):
    """400"""


class AuthenticationError(APIError):
    """401"""


class PermissionDeniedError(APIError):
    """403"""


class NotFoundError(APIError):
    """404"""


class ConflictError(APIError):
    """409"""


class GoneError(APIError):
    """410"""


class TooLargeError(APIError):
    """413"""


class UnprocessableEntityError(APIError):
    """422"""


class RateLimitError(APIError):
    """429"""


class ServerError(APIError):
    """500 and above"""


_CLASSES: dict[int, type[APIError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    413: TooLargeError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}


def class_of(status: int) -> type[APIError]:
    """The class of errors with this status."""
    return _CLASSES.get(status, ServerError if status >= 500 else APIError)
