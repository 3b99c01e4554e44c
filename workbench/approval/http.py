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

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from workbench import loopback
from workbench.approval.requests import Answer, Decision, Request, canonical
from workbench.errors import SettingsError, WorkbenchError

if TYPE_CHECKING:
    from starlette.requests import Request as HttpRequest
    from starlette.responses import Response
    from starlette.types import ASGIApp


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
        self.token = loopback.new_token()
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
        """Listen while the body runs; port 0 takes a free one.

        Raises ServerError where the port is taken.
        """
        with loopback.listen(port) as listening:
            self.url = f"http://{loopback.HOST}:{listening.getsockname()[1]}"
            with loopback.serving(self.app(), listening):
                yield self

    def app(self) -> ASGIApp:
        """The application, to be served by something else."""
        from starlette.applications import Starlette
        from starlette.routing import Route

        routes = [
            Route("/requests", self._list, methods=["GET"]),
            Route("/requests/{digest}", self._decide, methods=["POST"]),
        ]
        return loopback.Bearer(Starlette(routes=routes), self.token)

    async def _list(self, _: HttpRequest) -> Response:
        with self._changed:
            waiting = [
                {"digest": request.digest, **msgspec.to_builtins(request)}
                for request in self._waiting.values()
            ]
        return _answer(200, waiting)

    async def _decide(self, http: HttpRequest) -> Response:
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


def _answer(status: int, content: object) -> Response:
    from starlette.responses import Response

    return Response(msgspec.json.encode(content), status, media_type="application/json")
