"""Our tools over streamable HTTP: on loopback, for whoever has the token.

Against pages of a browser, also one whose host name was bound anew to this machine (DNS
rebinding), the Host has to be ours and an Origin is refused.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from workbench import loopback
from workbench.mcptools.serving import Served

PATH = "/mcp"


@contextmanager
def serving(served: Served, token: str, port: int = 0) -> Iterator[str]:
    """Listen while the body runs; gives the address. Port 0 takes a free one.

    Raises ServerError where the port is taken, and InputError for a short token.
    """
    from mcp.server.transport_security import TransportSecuritySettings

    with loopback.listen(port) as listening:
        port = listening.getsockname()[1]
        app = served.server().streamable_http_app(
            streamable_http_path=PATH,
            transport_security=TransportSecuritySettings(
                allowed_hosts=[f"{loopback.HOST}:{port}", f"localhost:{port}"], allowed_origins=[]
            ),
        )
        with loopback.serving(loopback.Bearer(app, token), listening):
            yield f"http://{loopback.HOST}:{port}{PATH}"


def wait() -> None:
    """Wait until somebody interrupts this process (Ctrl-C, SIGTERM)."""
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, previous)
