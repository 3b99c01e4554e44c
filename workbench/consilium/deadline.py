"""A request that ends in time: httpx bounds each read, and an answer may come byte by byte.

    with Deadline(120.0) as deadline, httpx.Client() as client:
        client.post(address, extensions={"trace": deadline.watch})

At the end of the time the connection is cut, whether its header or its body is on the way.
Until there is a connection, httpx's own timeout holds; looking up a name has none.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

_CONNECTED = (".connect_tcp.complete", ".start_tls.complete")


class Deadline:
    """Cuts the connection of one request after `seconds`; `passed` says that it did."""

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._connection: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._pass)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()

    def watch(self, event: str, info: Mapping[str, Any]) -> None:
        """Learn of the connection, as httpx's extension `trace`; the newest is the one in use."""
        if event.endswith(_CONNECTED):
            self._connection = info["return_value"].get_extra_info("socket")
            if self.passed:  # while it was being made
                self._cut()

    def _pass(self) -> None:
        self.passed = True
        self._cut()

    def _cut(self) -> None:
        if self._connection is not None:
            with suppress(OSError):  # closed by then
                # An SSL socket's own shutdown would give out what is encrypted as if it were not.
                socket.socket.shutdown(self._connection, socket.SHUT_RDWR)
