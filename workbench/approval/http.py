"""Asking over HTTP: another program, on this machine, lists what waits and decides.

    with Desk(name="person:anna").serve() as desk:
        print(desk.url, desk.token)
        agent.run("...", asker=desk)

    GET  /requests            what waits, as a list of Request
    POST /requests/DIGEST     {"answer": "approve", "reason": "", "arguments": {...}}

Listens on loopback alone. Every request needs the token, as a bearer; it is made
anew for each desk. Pages of a browser can't use it: they don't have the token.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from workbench.approval.requests import Answer, Decision, Request, canonical
from workbench.errors import SettingsError, WorkbenchError

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request as HttpRequest
    from starlette.responses import Response

LOOPBACK = "127.0.0.1"


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    answer: Answer
    reason: str = ""
    arguments: dict[str, Any] | None = None


class Desk:
    """Asks over HTTP: `ask` waits until someone decided, or the request expired.

    `name` says who decides: whoever has the token. Raises SettingsError for the names that
    stand for decisions without a person.
    """

    def __init__(self, name: str) -> None:
        if name in ("", "policy", "nobody"):
            raise SettingsError(f"{name!r} can't decide over HTTP", 'Name who does: "person:NAME"')
        self.name = name
        self.token = secrets.token_urlsafe(32)
        self.url = ""
        self._changed = threading.Condition()
        self._waiting: dict[str, Request] = {}
        self._decided: dict[str, Decision] = {}

    def ask(self, request: Request) -> Decision | None:
        """Wait for the decision of whoever has the token."""
        with self._changed:
            self._waiting[request.digest] = request
            self._changed.wait_for(lambda: request.digest in self._decided, request.seconds_left)
            del self._waiting[request.digest]
            return self._decided.pop(request.digest, None)

    @contextmanager
    def serve(self, port: int = 0) -> Iterator[Desk]:
        """Listen while the body runs; port 0 takes a free one."""
        import uvicorn

        server = uvicorn.Server(uvicorn.Config(self.app(), LOOPBACK, port, log_level="error"))
        socket = server.config.bind_socket()
        socket.listen()  # before the server runs, so that the first who asks is not refused
        self.url = f"http://{LOOPBACK}:{socket.getsockname()[1]}"
        thread = threading.Thread(target=server.run, args=([socket],), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.should_exit = True
            thread.join()
            socket.close()

    def app(self) -> Starlette:
        """The application, to be served by something else."""
        from starlette.applications import Starlette
        from starlette.routing import Route

        return Starlette(
            routes=[
                Route("/requests", self._list, methods=["GET"]),
                Route("/requests/{digest}", self._decide, methods=["POST"]),
            ]
        )

    async def _list(self, http: HttpRequest) -> Response:
        if not self._admits(http):
            return _answer(401, {"error": "The token is missing or wrong"})
        with self._changed:
            waiting = [
                {"digest": request.digest, **msgspec.to_builtins(request)}
                for request in self._waiting.values()
            ]
        return _answer(200, waiting)

    async def _decide(self, http: HttpRequest) -> Response:
        if not self._admits(http):
            return _answer(401, {"error": "The token is missing or wrong"})
        digest = http.path_params["digest"]
        try:
            body = msgspec.json.decode(await http.body(), type=_Body)
            arguments = None if body.arguments is None else canonical(body.arguments)
            decision = Decision(digest, body.answer, self.name, body.reason, arguments)
        except (msgspec.DecodeError, ValueError, WorkbenchError) as error:
            return _answer(400, {"error": str(error)})
        with self._changed:
            if digest not in self._waiting or digest in self._decided:
                return _answer(404, {"error": "No such request waits"})
            self._decided[digest] = decision
            self._changed.notify_all()
        return _answer(200, {"digest": digest, "answer": body.answer})

    def _admits(self, http: HttpRequest) -> bool:
        given = http.headers.get("authorization", "")
        return secrets.compare_digest(given.encode(), f"Bearer {self.token}".encode())


def _answer(status: int, content: object) -> Response:
    from starlette.responses import Response

    return Response(msgspec.json.encode(content), status, media_type="application/json")
