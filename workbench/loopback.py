"""Applications served to this machine alone, for whoever has the token.

    with loopback.listen(0) as socket, loopback.serving(Bearer(app, token), socket):
        ...

There is no way to listen elsewhere: who wants that puts a proxy with TLS before it.
Against pages of a browser the token is enough as long as the browser has none.
"""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from workbench.errors import InputError, ServerError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

HOST = "127.0.0.1"
_SHORTEST_TOKEN = 16


def new_token() -> str:
    """A token that can't be guessed."""
    return secrets.token_urlsafe(32)


class Bearer:
    """Lets requests with the token through to an application, and answers 401 to all others.

    It is compared in constant time. Raises InputError for a token that is too short.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        if len(token) < _SHORTEST_TOKEN:
            raise InputError(
                f"The token has fewer than {_SHORTEST_TOKEN} characters", "Let one be made"
            )
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        from starlette.responses import PlainTextResponse

        if scope["type"] == "lifespan" or secrets.compare_digest(_given(scope), self._expected):
            await self._app(scope, receive, send)
            return
        if scope["type"] == "http":
            headers = {"WWW-Authenticate": "Bearer"}
            refusal = PlainTextResponse("The token is missing or wrong", 401, headers)
            await refusal(scope, receive, send)


def listen(port: int) -> socket.socket:
    """A socket on which connections wait already; port 0 takes a free one.

    Raises ServerError where the port is taken.
    """
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen()
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or error
        raise ServerError(f"Port {port} can't be listened on ({reason})", "Take another") from None
    return listening


@contextmanager
def serving(app: ASGIApp, listening: socket.socket) -> Iterator[None]:
    """Answer on the socket while the body runs."""
    import uvicorn

    config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=2, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


def _given(scope: Scope) -> bytes:
    headers = [value for name, value in scope.get("headers", ()) if name == b"authorization"]
    return bytes(headers[0]) if len(headers) == 1 else b""
