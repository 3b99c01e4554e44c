"""A server on loopback that speaks the chat completions format, with switches for its troubles."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-the-right-key"


@dataclass(frozen=True)
class Trouble:
    """What comes instead of an answer: a state with text, or a connection that does this."""

    state: int = 200
    text: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    does: str = ""  # "hang", "drop", "drip", "drip a header", "flood"


@dataclass
class ChatServer:
    """`says` are the texts of the answers, the last one for ever; `troubles` come first."""

    says: list[str]
    troubles: list[Trouble] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    port: int = 0
    done: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


def answer(text: str | None, **message: Any) -> str:
    """The body of an answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}}
    usage = {"prompt_tokens": 900, "completion_tokens": 50, "total_tokens": 950}
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "big-model-2026-01-01",
            "choices": [{**choice, "finish_reason": "stop", "logprobs": None}],
            "usage": {**usage, "prompt_tokens_details": {"cached_tokens": 300}},
        }
    )


@contextmanager
def running(*says: str) -> Iterator[ChatServer]:
    """A server that answers so."""
    state = ChatServer(list(says))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.raw.append(body)
            state.asked.append(json.loads(body))
            state.headers.append({k.lower(): v for k, v in self.headers.items()})
            if state.troubles:
                self._trouble(state.troubles.pop(0))
            elif self.path != "/v1/chat/completions":
                self._send(404, '{"error": {"message": "no such path"}}')
            elif self.headers.get("Authorization") != f"Bearer {KEY}":
                said = self.headers.get("Authorization", "").removeprefix("Bearer ")
                error = {"message": f"Incorrect API key provided: {said}.", "code": "invalid"}
                self._send(401, json.dumps({"error": error}))
            else:
                said = state.says.pop(0) if len(state.says) > 1 else state.says[0]
                self._send(200, answer(said))

        def _trouble(self, trouble: Trouble) -> None:
            if trouble.does == "hang":
                state.done.wait(30)
            elif trouble.does == "drip":
                self.send_response(200)
                self.end_headers()
                while not state.done.wait(0.05):
                    try:
                        self.wfile.write(b" ")
                    except OSError:
                        return
            elif trouble.does == "drip a header":
                self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
                for _ in range(60):
                    state.done.wait(0.05)
                    try:
                        self.wfile.write(b"x")
                    except OSError:
                        return
                self.wfile.write(b"\r\n\r\n")
            elif trouble.does == "flood":
                self.send_response(200)
                self.end_headers()
                try:
                    for _ in range(1_000):
                        self.wfile.write(b" " * 100_000)
                except OSError:
                    return
            elif trouble.does != "drop":
                self._send(trouble.state, trouble.text, trouble.headers)

        def _send(self, status: int, text: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
            data = text.encode()
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.done.set()
        server.shutdown()
        server.server_close()
