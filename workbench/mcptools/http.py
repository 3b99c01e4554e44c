"""Our tools over streamable HTTP: on loopback, for whoever has the token.

Every request needs the token, as a bearer; it is compared in constant time. Against pages of
a browser, also one whose host name was bound anew to this machine (DNS rebinding), the
Host has to be ours and an Origin is refused. There is no way to listen elsewhere: who wants
that puts a proxy with TLS before it.
"""

from __future__ import annotations

import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from workbench.errors import InputError, ServerError
from workbench.mcptools.serving import Served

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send
    from uvicorn import Server

LOOPBACK = "127.0.0.1"
PATH = "/mcp"
_SHORTEST_TOKEN = 16


class Admission:
    """Lets requests with the token through to an application, and answers 401 to all others."""

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


def new_token() -> str:
    """A token that can't be guessed."""
    return secrets.token_urlsafe(32)


@contextmanager
def serving(served: Served, token: str, port: int = 0) -> Iterator[str]:
    """Listen while the body runs; gives the address. Port 0 takes a free one.

    Raises ServerError where the port is taken.
    """
    server, listening, url = _server(served, token, port)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join()


def wait() -> None:
    """Wait until somebody interrupts this process (Ctrl-C, SIGTERM)."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, previous)


def _server(served: Served, token: str, port: int) -> tuple[Server, socket.socket, str]:
    import uvicorn
    from mcp.server.transport_security import TransportSecuritySettings

    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen()  # whoever comes before the server runs waits
    except OSError as error:
        listening.close()
        raise ServerError(
            f"Port {port} can't be listened on ({error.strerror})", "Take another port"
        ) from None
    port = listening.getsockname()[1]
    app = served.server().streamable_http_app(
        streamable_http_path=PATH,
        transport_security=TransportSecuritySettings(
            allowed_hosts=[f"{LOOPBACK}:{port}", f"localhost:{port}"], allowed_origins=[]
        ),
    )
    config = uvicorn.Config(
        Admission(app, token), log_level="error", timeout_graceful_shutdown=2, access_log=False
    )
    return uvicorn.Server(config), listening, f"http://{LOOPBACK}:{port}{PATH}"


def _given(scope: Scope) -> bytes:
    headers = [value for name, value in scope.get("headers", ()) if name == b"authorization"]
    return bytes(headers[0]) if len(headers) == 1 else b""
