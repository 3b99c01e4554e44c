from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from workbench import loopback
from workbench.errors import InputError, ServerError

TOKEN = "a token for the tests"


async def _hello(_: object) -> PlainTextResponse:
    return PlainTextResponse("hello")


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        ([f"Bearer {TOKEN}"], 200),
        ([], 401),
        ([f"Bearer {TOKEN}."], 401),
        ([TOKEN], 401),
        ([f"Bearer {TOKEN}", "Bearer of another"], 401),
    ],
    ids=["right", "none", "longer", "no bearer", "two"],
)
def test_only_the_token_is_let_through(authorization: list[str], status: int) -> None:
    app = loopback.Bearer(Starlette(routes=[Route("/", _hello)]), TOKEN)
    headers = [("Authorization", value) for value in authorization]
    with loopback.listen(0) as listening, loopback.serving(app, listening):
        host, port = listening.getsockname()
        assert host == "127.0.0.1"
        answer = httpx.get(f"http://{host}:{port}/", headers=headers)
    assert answer.status_code == status
    assert ("hello" in answer.text) == (status == 200)


def test_a_short_token_is_refused() -> None:
    with pytest.raises(InputError, match="fewer than 16"):
        loopback.Bearer(Starlette(), "short")


def test_a_port_that_cannot_be_had_is_told() -> None:
    with loopback.listen(0) as listening:
        for port in (listening.getsockname()[1], 70_000):
            with pytest.raises(ServerError, match="can't be listened on"):
                loopback.listen(port)


def test_tokens_are_made_anew() -> None:
    assert loopback.new_token() != loopback.new_token()
    assert len(loopback.new_token()) >= 43
