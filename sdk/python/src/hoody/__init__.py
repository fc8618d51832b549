"""Client of a hoody server: tokens, sessions, projects, events.

from hoody import Hoody

with Hoody("https://api.example.com", token=os.environ["HOODY_TOKEN"]) as client:
    made = client.auth_tokens.create(alias="ci", permissions={"projects": {"read": True}})
"""

from . import types
from ._answer import Envelope, PageMetadata
from ._async import AsyncEventStream, AsyncPage
from ._call import OMIT, Omit
from ._client import AsyncHoody, Hoody
from ._core import Attempt
from ._errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    GoneError,
    HoodyError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    StreamEndedError,
    TooLargeError,
    UnprocessableEntityError,
    UnreadableAnswerError,
    Violation,
)
from ._secret import Secret
from ._sync import EventStream, Page
from ._version import VERSION

__all__ = [
    "OMIT",
    "VERSION",
    "APIConnectionError",
    "APIError",
    "APITimeoutError",
    "AsyncEventStream",
    "AsyncHoody",
    "AsyncPage",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "ConflictError",
    "Envelope",
    "EventStream",
    "GoneError",
    "Hoody",
    "HoodyError",
    "NotFoundError",
    "Omit",
    "Page",
    "PageMetadata",
    "PermissionDeniedError",
    "RateLimitError",
    "Secret",
    "ServerError",
    "StreamEndedError",
    "TooLargeError",
    "UnprocessableEntityError",
    "UnreadableAnswerError",
    "Violation",
    "types",
]
