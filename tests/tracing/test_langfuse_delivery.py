"""Delivery to Langfuse, against real HTTP servers on loopback; each process is a fresh one.

Langfuse keeps threads and one client per key for the life of a process, so each
case runs in a process of its own, which also shows how long that takes to end.
"""

from __future__ import annotations

import base64
import gzip
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from workbench.tracing import read, sinks, spans

pytestmark = pytest.mark.slow  # a process for each case

PUBLIC, SECRET = "pk-lf-public", "sk-lf-very-secret"

WORK = """
import sys, time
from pathlib import Path
from workbench.records import Usage
from workbench.settings import Settings
from workbench.tracing import Tracer
settings = Settings.load(root=Path("."))
tracer = Tracer(sys.argv[1], settings, session="monday")
slowest = 0.0
for i in range(int(sys.argv[2])):
    began = time.perf_counter()
    with tracer.span("chain", f"chain {i}"):
        with tracer.span("generation", "chat", input=[{"role": "user", "content": "hi"}],
                         model="base") as span:
            span.finish(output="hello", usage=Usage(7, 3, 2), metadata={"seed": 1})
    slowest = max(slowest, time.perf_counter() - began)
print(slowest)
"""


@dataclass
class StandIn:
    """Langfuse's endpoint for traces; keeps what it was sent."""

    url: str = ""
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    @property
    def spans(self) -> dict[str, dict[str, object]]:
        """Attributes of every span that arrived, by its id in hex."""
        found = {}
        for path, headers, body in self.requests:
            if path != sinks.TRACES:
                continue
            body = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        found[span.span_id.hex()] = {
                            "parent": span.parent_span_id.hex(),
                            "name": span.name,
                            **{a.key: a.value.string_value for a in span.attributes},
                        }
        return found


@pytest.fixture
def langfuse() -> Iterator[StandIn]:
    stand_in = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {k.lower(): v for k, v in self.headers.items()}
            stand_in.requests.append((self.path, headers, body))
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stand_in.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield stand_in
    server.shutdown()
    server.server_close()


@pytest.fixture
def hanging() -> Iterator[str]:
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def work(
    path: Path, base_url: str, n: int = 3, script: str = WORK
) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run `script` with keys for `base_url` (none where it is empty); its result and seconds."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("LANGFUSE")}
    if base_url:
        env |= {
            "LANGFUSE_PUBLIC_KEY": PUBLIC,
            "LANGFUSE_SECRET_KEY": SECRET,
            "LANGFUSE_BASE_URL": base_url,
        }
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script, str(path), str(n)],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done, time.monotonic() - began


def test_spans_arrive_with_langfuses_attributes(tmp_path, langfuse):
    path = tmp_path / "spans.jsonl"
    work(path, langfuse.url)

    records = read(path)
    assert set(langfuse.spans) == {r.id for r in records}
    assert len(records) == 6
    for record in records:
        sent = langfuse.spans[record.id]
        assert sent["name"] == record.name
        assert sent["parent"] == (record.parent_id or "")
        assert sent["langfuse.observation.type"] == record.kind
        assert sent["session.id"] == "monday"
    chat = langfuse.spans[next(r.id for r in records if r.name == "chat")]
    assert chat["langfuse.observation.input"] == '[{"role":"user","content":"hi"}]'
    assert chat["langfuse.observation.output"] == "hello"
    assert chat["langfuse.observation.model.name"] == "base"
    assert chat["langfuse.observation.metadata"] == '{"seed":1}'
    assert '"input": 5' in chat["langfuse.observation.usage_details"]


def test_the_request_is_signed_as_langfuse_wants_it(tmp_path, langfuse):
    work(tmp_path / "spans.jsonl", langfuse.url)
    headers = next(headers for path, headers, _ in langfuse.requests if path == sinks.TRACES)
    credentials = base64.b64encode(f"{PUBLIC}:{SECRET}".encode()).decode()
    assert headers["authorization"] == f"Basic {credentials}"
    assert headers["x-langfuse-ingestion-version"] == "4"
    assert headers["content-type"] == "application/x-protobuf"


def test_attribute_names_are_those_of_the_sdk():
    from langfuse import LangfuseOtelSpanAttributes as Names

    ours = [spans.TYPE, spans.INPUT, spans.OUTPUT, spans.MODEL, spans.USAGE, spans.METADATA]
    assert ours == [
        Names.OBSERVATION_TYPE,
        Names.OBSERVATION_INPUT,
        Names.OBSERVATION_OUTPUT,
        Names.OBSERVATION_MODEL,
        Names.OBSERVATION_USAGE_DETAILS,
        Names.OBSERVATION_METADATA,
    ]
    assert (spans.LEVEL, spans.STATUS, spans.SESSION) == (
        Names.OBSERVATION_LEVEL,
        Names.OBSERVATION_STATUS_MESSAGE,
        Names.TRACE_SESSION_ID,
    )


def test_two_tracers_with_one_key_both_deliver(tmp_path, langfuse):
    script = WORK.replace(
        "slowest = 0.0",
        """slowest = 0.0
second = Tracer(sys.argv[1] + ".second", settings)
with second.span("tool", "second"):
    pass""",
    )
    path = tmp_path / "spans.jsonl"
    work(path, langfuse.url, script=script)
    (second,) = read(f"{path}.second")
    assert second.id in langfuse.spans
    assert len(langfuse.spans) == 7


def test_flush_hands_over_before_the_process_ends(tmp_path, langfuse):
    script = WORK.replace("print(slowest)", "tracer.flush()\nimport os\nos._exit(0)")
    work(tmp_path / "spans.jsonl", langfuse.url, script=script)
    assert len(langfuse.spans) == 6


def test_another_server_for_the_same_key_is_refused(tmp_path, langfuse):
    script = """
import sys
from pathlib import Path
from workbench.errors import SettingsError
from workbench.settings import Settings
from workbench.tracing import Tracer
settings = Settings.load(root=Path("."))
Tracer(sys.argv[1], settings)
try:
    Tracer(sys.argv[1], settings.with_(langfuse_base_url="http://127.0.0.1:1"))
except SettingsError as error:
    print(error)
"""
    done, _ = work(tmp_path / "spans.jsonl", langfuse.url, script=script)
    assert "Restart the kernel" in done.stdout
    assert SECRET not in done.stdout


def test_secrets_reach_neither_journal_nor_server(tmp_path, langfuse):
    script = f"""
import sys
from pathlib import Path
from workbench.settings import Settings
from workbench.tracing import Tracer
settings = Settings.load(root=Path("."))
tracer = Tracer(sys.argv[1], settings)
with tracer.span("tool", "cat", input={{"file": ".env", "{SECRET}": 1}}) as span:
    span.finish(output="KEY={SECRET}", metadata={{"env": ["{SECRET}"]}})
try:
    with tracer.span("tool", "cat", input=settings):
        raise ValueError("bad key {SECRET}")
except ValueError:
    pass
"""
    path = tmp_path / "spans.jsonl"
    work(path, langfuse.url, script=script)
    first, second = read(path)
    assert first.output == "KEY=[secret]"
    assert second.error == "ValueError: bad key [secret]"
    assert SECRET not in path.read_text()
    assert len(langfuse.spans) == 2
    assert not any(SECRET in str(attributes) for attributes in langfuse.spans.values())


def test_without_keys_nothing_is_loaded_started_or_printed(tmp_path):
    script = (
        WORK
        + """
import threading
assert threading.active_count() == 1, threading.enumerate()
heavy = {"langfuse", "requests", "httpx", "duckdb", "pandas"} & set(sys.modules)
assert not heavy, heavy
"""
    )
    path = tmp_path / "spans.jsonl"
    done, _ = work(path, "", n=5, script=script)
    assert done.stderr == ""
    assert len(read(path)) == 10


@pytest.mark.parametrize("n", [3, 300])
def test_a_dead_server_costs_the_calls_nothing_and_the_journal_nothing(tmp_path, n):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    path = tmp_path / "spans.jsonl"
    done, seconds = work(path, f"http://127.0.0.1:{port}", n=n)
    assert float(done.stdout) < 1.0
    assert len(read(path)) == 2 * n
    assert seconds < 20
    assert SECRET not in done.stderr


def test_a_hanging_server_costs_the_calls_nothing_and_the_end_a_few_seconds(tmp_path, hanging):
    path = tmp_path / "spans.jsonl"
    done, seconds = work(path, hanging, n=700)
    assert float(done.stdout) < 1.0
    assert len(read(path)) == 1400
    assert seconds < 25
    assert "the journal has them" in done.stderr


def test_the_room_is_imported_quickly_and_without_its_libraries():
    script = """
import sys
import workbench.tracing
print({"langfuse", "duckdb", "pandas", "opentelemetry"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
