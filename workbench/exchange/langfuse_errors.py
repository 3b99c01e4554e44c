"""What goes wrong between Langfuse and us, as errors that say whether to try again.

Messages hold the server's address and its own words, cut to one line, and never
headers: those of a request hold the keys. Knows nothing about what was asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from workbench.characters import hidden
from workbench.errors import ServerError
from workbench.exchange.langfuse_records import text_of

LONGEST_WAIT_S = 60.0
"""No server makes us wait longer before the next attempt."""
_LATER = (408, 409, 425, 429)
_SHOWN = 300


class Unavailable(ServerError):
    """The server can't be reached or is in trouble: the same call may succeed later.

    `retry_after` is the least wait in seconds that the server asked for, or None.
    """

    def __init__(self, fact: str, retry_after: float | None = None) -> None:
        super().__init__(fact, "Check LANGFUSE_BASE_URL and the server, then repeat the step")
        self.retry_after = retry_after


class Invalid(ServerError):
    """The server understood the request and refused it: it will refuse it again."""

    def __init__(self, fact: str, reason: str) -> None:
        super().__init__(fact, "Mend what was sent; repeating it changes nothing")
        self.reason = reason


class Missing(Invalid):
    """What was asked for is not there."""


@contextmanager
def translated(base_url: str) -> Iterator[None]:
    """The SDK's errors as ours."""
    import httpx
    from langfuse.api.core import ApiError
    from pydantic import ValidationError

    try:
        yield
    except httpx.HTTPError as error:
        what = type(error).__name__
        raise Unavailable(f"Langfuse at {base_url} can't be reached ({what})") from None
    except ApiError as error:
        status, headers = error.status_code or 0, error.headers or {}
        raise _answered(base_url, status, error.body, headers) from None
    except (ValidationError, httpx.InvalidURL, ValueError) as error:
        raise ServerError(
            f"{base_url} did not answer as Langfuse does ({type(error).__name__})",
            "Check LANGFUSE_BASE_URL; SDK 5 needs a server of version 4.59 or later",
        ) from None


def unauthorised(base_url: str, message: str) -> ServerError:
    """The keys are wrong; nothing but other keys helps."""
    return ServerError(
        f"Langfuse at {base_url} refused the keys: {message}",
        "Check LANGFUSE_PUBLIC_KEY, LANGFUSE_SECRET_KEY and which server they belong to",
    )


def passes_later(status: int) -> bool:
    """Whether the same request may pass after an answer of that HTTP status."""
    return status >= 500 or status in _LATER


def one_line(body: Any) -> str:
    """What an error's body says, on one line, without hidden characters, and cut."""
    if isinstance(body, Mapping):
        parts = [body.get("message"), body.get("error")]
        body = ": ".join(text_of(part) for part in parts if part) or body
    line = " ".join(text_of(body).split())
    return "".join(c for c in line if not hidden(c))[:_SHOWN]


def _answered(base_url: str, status: int, body: Any, headers: Mapping[str, str]) -> ServerError:
    message = one_line(body)
    fact = f"Langfuse at {base_url} answered {status}: {message}"
    if status in (401, 403):
        return unauthorised(base_url, message)
    if passes_later(status):
        return Unavailable(fact, _seconds(headers.get("retry-after")))
    if status == 404:
        return Missing(fact, message)
    if 400 <= status < 500:
        return Invalid(fact, message)
    return ServerError(fact, "Check LANGFUSE_BASE_URL: it is the server's own address")


def _seconds(retry_after: str | None) -> float | None:
    try:
        return min(max(0.0, float(retry_after)), LONGEST_WAIT_S) if retry_after else None
    except ValueError:
        return None
