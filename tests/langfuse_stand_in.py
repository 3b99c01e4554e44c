"""A stand-in of Langfuse's HTTP contract, with switches for its troubles.

Every answer is parsed with the SDK's own models before it leaves, every score
that comes in too; an unknown parameter is refused with 400, as the real server
does. It runs under SDK 5 and SDK 4, in a thread (`running`) or as a process of
its own (`python langfuse_stand_in.py DELAY_S`, which prints its address and is asked
under /control).

Like the real one it is late: reads see a write, and a deletion takes place,
only after `delay_s`; a deletion misses what can't be read yet. A score is known
by its id and its timestamp. Metadata of a trace is text, cut at 200 characters
unless its key is asked for.
"""

from __future__ import annotations

import base64
import json
import random
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import langfuse.api
from langfuse.api.core.pydantic_utilities import parse_obj_as
from pydantic import ValidationError

from workbench.exchange.langfuse_project import LangfuseProject, connect
from workbench.settings import Settings

PUBLIC, SECRET = "pk-lf-stand-in", "sk-lf-very-secret"
PROJECT = "project-1"
NOW = "2026-01-01T12:00:00Z"

_SCORE_PARAMETERS = {
    *("limit", "cursor", "fields", "id", "name", "source", "dataType", "environment"),
    *("configId", "queueId", "authorUserId", "value", "valueMin", "valueMax", "traceId"),
    *("sessionId", "observationId", "experimentId", "fromTimestamp", "toTimestamp"),
}
_OBSERVATION_PARAMETERS = {
    *("fields", "expandMetadata", "limit", "cursor", "name", "userId", "sessionId", "type"),
    *("traceId", "level", "parentObservationId", "isRootObservation", "environment"),
    *("fromStartTime", "toStartTime", "version", "filter"),
}
_COLUMNS = {
    "isRootObservation": "isRootObservation",
    "startTime": "startTime",
    "traceTags": "tags",
    "sessionId": "sessionId",
    "name": "name",
}


class Refusal(Exception):
    """An answer other than 2xx."""

    def __init__(self, status: int, body: Any, **headers: str) -> None:
        self.status, self.body, self.headers = status, body, headers


@dataclass
class StandIn:
    """A project's state and its switches.

    `trouble` is asked before each request and names what goes wrong: "" nothing,
    a status, "drop" (no answer, not handled), "lost" (handled, no answer),
    "hang" (answered after `hang_s`). `refuse` says of a score why it is refused with the
    status of a client's error, `reject` why it is rejected without one; or "". The share
    `fails_first` of scores is rejected the first time, as by a server in trouble.
    """

    url: str = ""
    project: str = PROJECT
    delay_s: float = 0.0
    hang_s: float = 1.0
    trouble: Callable[[str, str], str] = lambda method, path: ""
    refuse: Callable[[dict[str, Any]], str] = lambda score: ""
    reject: Callable[[dict[str, Any]], str] = lambda score: ""
    fails_first: float = 0.0
    observations: list[dict[str, Any]] = field(default_factory=list)
    configs: list[dict[str, Any]] = field(default_factory=list)
    datasets: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    writes: Counter[str] = field(default_factory=Counter)
    requests: list[tuple[str, str]] = field(default_factory=list)
    _scores: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    _later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    _failed: set[str] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    # --- what tests look at and put in ------------------------------------

    @property
    def scores(self) -> list[dict[str, Any]]:
        """What a read would see now."""
        with self._lock:
            now = time.monotonic()
            due = sorted((item for item in self._later if item[0] <= now), key=lambda i: i[0])
            self._later = [item for item in self._later if item[0] > now]
            for _, apply in due:
                apply()
            return list(self._scores.values())

    def put_score(self, **score: Any) -> dict[str, Any]:
        """A score as someone else gave it, in the words of the API; there at once."""
        whole = _whole_score({"timestamp": NOW, **score})
        with self._lock:
            self._scores[whole["id"], whole["timestamp"]] = whole
        return whole

    def drop_score(self, id: str) -> None:
        with self._lock:
            self._scores = {key: s for key, s in self._scores.items() if key[0] != id}

    def put_trace(self, id: str, input: Any, output: Any, **fields: Any) -> dict[str, Any]:
        """A root observation; input and output as the server keeps them: raw text."""
        observation = {
            "id": f"root-of-{id}",
            "traceId": id,
            "projectId": PROJECT,
            "startTime": NOW,
            "endTime": "2026-01-01T12:00:02Z",
            "parentObservationId": "",
            "type": "GENERATION",
            "name": "chat",
            "isRootObservation": True,
            "sessionId": "",
            "input": input if isinstance(input, str) else json.dumps(input, ensure_ascii=False),
            "output": output if isinstance(output, str) else json.dumps(output),
            "metadata": {},
            "model": "gpt-oss",
            "usageDetails": {"input": 5, "output": 7},
            "latency": 2.0,
            "tags": [],
            **fields,
        }
        self.observations.append(observation)
        return observation

    def put_item(self, dataset: str, **item: Any) -> None:
        """An item as someone else wrote it, in the words of the API."""
        self._create_item({}, {"datasetName": dataset, **item})

    # --- the contract -----------------------------------------------------

    def handle(self, method: str, path: str, query: Mapping[str, str], body: Any) -> Any:
        """Status and body of the answer; raises Refusal."""
        routes: list[tuple[str, str, Callable[..., Any]]] = [
            ("GET", "projects", self._projects),
            ("POST", "scores", self._create_scores),
            ("POST", "ingestion", self._ingest),
            ("DELETE", "scores/([^/]+)", self._delete_score),
            ("GET", "v3/scores", self._list_scores),
            ("GET", "v2/observations", self._list_observations),
            ("GET", "score-configs", self._list_configs),
            ("POST", "v2/datasets", self._create_dataset),
            ("GET", "v2/datasets/([^/]+)", self._get_dataset),
            ("GET", "dataset-items", self._list_items),
            ("POST", "dataset-items", self._create_item),
        ]
        for wanted, pattern, answer in routes:
            found = re.fullmatch("/api/public/" + pattern, path)
            if found and wanted == method:
                with self._lock:
                    return answer(query, body, *map(unquote, found.groups()))
        raise Refusal(404, {"message": f"no {method} {path}"})

    def _projects(self, query: Any, body: Any) -> Any:
        organization = {"id": "organization-1", "name": "O"}
        project = {"id": self.project, "name": "P", "organization": organization, "metadata": {}}
        return 200, _checked("Projects", {"data": [project]})

    def _create_scores(self, query: Any, body: Any) -> Any:
        if not isinstance(body, list):
            raise _invalid("a list of scores is expected")
        for score in body:
            _parsed("CreateScoreRequest", score)
            if reason := _rule_broken(score) or self.refuse(score):
                raise Refusal(400, {"message": reason})
        errors = [reason for score in body if (reason := self._write(score, score["timestamp"]))]
        if not errors:
            return 202, _checked("CreateScoresResponse", {"message": "Accepted"})
        results = {
            "accepted": len(body) - len(errors),
            "rejected": len(errors),
            "errors": [{"message": message} for message in errors],
        }
        return 207, _checked("CreateScoresResponse", results)

    def _ingest(self, query: Any, body: Any) -> Any:
        successes, errors = [], []
        for event in body["batch"]:
            if event["type"] != "score-create":
                raise _invalid(f"unexpected event {event['type']}")
            _parsed("ScoreBody", event["body"])
            if reason := _rule_broken(event["body"]) or self.refuse(event["body"]):
                errors.append({"id": event["id"], "status": 400, "message": reason})
            elif reason := self._write(event["body"], event["timestamp"]):
                errors.append({"id": event["id"], "status": 500, "message": reason})
            else:
                successes.append({"id": event["id"], "status": 201})
        return 207, _checked("IngestionResponse", {"successes": successes, "errors": errors})

    def _write(self, score: dict[str, Any], timestamp: str) -> str:
        """Why a score is rejected; "" where it was written."""
        if reason := self.reject(score):
            return reason
        id = score["id"]
        if id not in self._failed and random.random() < self.fails_first:
            self._failed.add(id)
            return "trouble in the store"
        self.writes[id] += 1
        whole = _whole_score({**score, "timestamp": timestamp})
        self._after(1.0, lambda: self._scores.update({(id, timestamp): whole}))
        return ""

    def _delete_score(self, query: Any, body: Any, id: str) -> Any:
        self._after(0.5, lambda: self.drop_score(id))
        return 202, {"message": "Score deletion queued successfully"}

    def _after(self, share: float, apply: Callable[[], None]) -> None:
        if self.delay_s == 0:
            apply()
        else:
            self._later.append((time.monotonic() + share * self.delay_s, apply))

    def _list_scores(self, query: Mapping[str, str], body: Any) -> Any:
        _only(query, _SCORE_PARAMETERS)
        limit = int(query.get("limit", 50))
        if limit > 100:
            raise _invalid("limit is at most 100")
        groups = set(filter(None, query.get("fields", "").split(",")))
        if unknown := groups - {"details", "subject", "annotation"}:
            raise _invalid(f"unknown fields {unknown}")
        rows = self.scores
        for parameter in ("id", "name"):
            if parameter in query:
                asked = query[parameter].split(",")
                rows = [row for row in rows if row[parameter] in asked]
        if "fromTimestamp" in query:
            since = _moment(query["fromTimestamp"])
            rows = [row for row in rows if _moment(row["timestamp"]) >= since]
        left_out = {
            *(() if "details" in groups else ("comment", "configId", "metadata")),
            *(() if "subject" in groups else ("subject",)),
            *(() if "annotation" in groups else ("authorUserId", "queueId")),
        }
        rows = [{k: v for k, v in row.items() if k not in left_out} for row in rows]
        page, cursor = _page(rows, limit, query.get("cursor"))
        meta = {"limit": limit, **({"cursor": cursor} if cursor else {})}
        return 200, _checked("GetScoresV3Response", {"data": page, "meta": meta})

    def _list_observations(self, query: Mapping[str, str], body: Any) -> Any:
        _only(query, _OBSERVATION_PARAMETERS)
        limit = int(query.get("limit", 50))
        if limit > 1000:
            raise _invalid("limit is at most 1000")
        rows = list(self.observations)
        for condition in json.loads(query.get("filter", "[]")):
            rows = [row for row in rows if _holds(condition, row)]
        whole = query.get("expandMetadata", "").split(",")
        rows = [{**row, "metadata": _kept(row["metadata"], whole)} for row in rows]
        page, cursor = _page(rows, limit, query.get("cursor"))
        meta = {"cursor": cursor} if cursor else {}
        return 200, _checked("ObservationsV2Response", {"data": page, "meta": meta})

    def _list_configs(self, query: Mapping[str, str], body: Any) -> Any:
        _only(query, {"page", "limit"})
        return 200, _checked("ScoreConfigs", _numbered(self.configs, query))

    def _create_dataset(self, query: Any, body: Any) -> Any:
        self.datasets.setdefault(body["name"], {})
        return 200, self._dataset(body["name"])

    def _get_dataset(self, query: Any, body: Any, name: str) -> Any:
        if name not in self.datasets:
            raise Refusal(404, {"message": "Dataset not found", "error": "LangfuseNotFoundError"})
        return 200, self._dataset(name)

    def _dataset(self, name: str) -> Any:
        ids = {"id": f"dataset-{name}", "projectId": PROJECT}
        times = {"createdAt": NOW, "updatedAt": NOW}
        return _checked("Dataset", {**ids, **times, "name": name, "metadata": None})

    def _list_items(self, query: Mapping[str, str], body: Any) -> Any:
        _only(query, {"datasetName", "sourceTraceId", "page", "limit", "version"})
        items = list(self.datasets[query["datasetName"]].values())
        return 200, _checked("PaginatedDatasetItems", _numbered(items, query))

    def _create_item(self, query: Any, body: Any) -> Any:
        _parsed("CreateDatasetItemRequest", body)
        name = body["datasetName"]
        for other, items in self.datasets.items():
            if other != name and body["id"] in items:
                raise _invalid("the id belongs to another dataset")
        item = {
            "input": None,
            "expectedOutput": None,
            "metadata": None,
            "status": self.datasets[name].get(body["id"], {}).get("status", "ACTIVE"),
            **body,
            "datasetId": f"dataset-{name}",
            "createdAt": NOW,
            "updatedAt": NOW,
            "mediaReferences": [],
        }
        self.datasets[name][body["id"]] = item
        self.writes[body["id"]] += 1
        return 200, _checked("DatasetItem", item)


# --- words of the contract ------------------------------------------------


def _invalid(reason: str) -> Refusal:
    return Refusal(400, {"message": "Invalid request data", "error": [{"message": reason}]})


def _only(query: Mapping[str, str], known: set[str]) -> None:
    if unknown := set(query) - known:
        raise _invalid(f"unrecognised parameters {sorted(unknown)}")


def _checked(model: str, payload: Any) -> Any:
    """`payload`, once the SDK can read it."""
    parse_obj_as(getattr(langfuse.api, model), payload)
    return payload


def _parsed(model: str, payload: Any) -> None:
    try:
        parse_obj_as(getattr(langfuse.api, model), payload)
    except ValidationError as error:
        raise _invalid(str(error)) from None


def _rule_broken(score: dict[str, Any]) -> str:
    """What the server's documentation asks of a score beyond its schema."""
    value, data_type = score["value"], score.get("dataType", "NUMERIC")
    number = isinstance(value, int | float)
    if sum(name in score for name in ("traceId", "sessionId", "datasetRunId")) != 1:
        return "a score stands on a trace, a session or a dataset run"
    if data_type == "BOOLEAN" and value not in (0, 1):
        return "a BOOLEAN score is 0 or 1"
    if (data_type in ("NUMERIC", "BOOLEAN")) != number:
        return f"the value does not fit {data_type}"
    if data_type == "TEXT" and not 1 <= len(value.encode("utf-16-le")) // 2 <= 500:
        return "a TEXT score has 1 to 500 characters"
    return ""


def _whole_score(given: dict[str, Any]) -> dict[str, Any]:
    """A score as GET v3/scores gives it with all fields."""
    value, data_type = given["value"], given.get("dataType", "NUMERIC")
    subject = given.get("subject") or {"kind": "trace", "id": given.get("traceId")}
    return {
        "id": given["id"],
        "projectId": PROJECT,
        "name": "output" if data_type == "CORRECTION" else given["name"],
        "dataType": data_type,
        "value": bool(value) if data_type == "BOOLEAN" else value,
        "source": given.get("source", "API"),
        "timestamp": given["timestamp"],
        "environment": "default",
        "createdAt": given["timestamp"],
        "updatedAt": given.get("updatedAt", given["timestamp"]),
        "comment": given.get("comment"),
        "configId": given.get("configId"),
        "metadata": given.get("metadata"),
        "authorUserId": given.get("authorUserId"),
        "queueId": None,
        "subject": subject,
    }


def _kept(metadata: dict[str, Any], whole: list[str]) -> dict[str, str]:
    """Metadata as the server keeps it: texts."""
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    return {key: text if key in whole else text[:200] for key, text in texts.items()}


def _holds(condition: dict[str, Any], row: dict[str, Any]) -> bool:
    kind, operator, value = condition["type"], condition["operator"], condition["value"]
    if condition["column"] not in _COLUMNS:
        raise _invalid(f"unknown column {condition['column']}")
    there = row[_COLUMNS[condition["column"]]]
    if (kind, operator) in (("boolean", "="), ("string", "=")):
        return there == value
    if (kind, operator) == ("datetime", ">="):
        return _moment(there) >= _moment(value)
    if (kind, operator) == ("datetime", "<"):
        return _moment(there) < _moment(value)
    if (kind, operator) == ("arrayOptions", "all of"):
        return set(value) <= set(there)
    raise _invalid(f"unknown condition {kind} {operator}")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    assert moment.tzinfo is not None, text
    return moment.astimezone(UTC)


def _page(rows: list[Any], limit: int, cursor: str | None) -> tuple[list[Any], str | None]:
    start = int(base64.urlsafe_b64decode(cursor)) if cursor else 0
    end = start + limit
    after = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(rows) else None
    return rows[start:end], after


def _numbered(rows: list[Any], query: Mapping[str, str]) -> dict[str, Any]:
    page, limit = int(query.get("page", 1)), int(query.get("limit", 50))
    pages = -(-len(rows) // limit)
    meta = {"page": page, "limit": limit, "totalItems": len(rows), "totalPages": pages}
    return {"data": rows[(page - 1) * limit : page * limit], "meta": meta}


# --- serving --------------------------------------------------------------


def project(url: str, secret: str = SECRET) -> LangfuseProject:
    """A connection to a stand-in, with its keys or others."""
    settings = Settings(
        root=Path("/nowhere"),
        home=Path("/nowhere"),
        langfuse_public_key=PUBLIC,
        langfuse_secret_key=secret,
        langfuse_base_url=url,
    )
    return connect(settings)


@contextmanager
def running(stand_in: StandIn | None = None) -> Iterator[StandIn]:
    """A stand-in that serves on loopback, in threads."""
    stand_in = stand_in or StandIn()
    server = _server(stand_in)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()


def _server(stand_in: StandIn) -> ThreadingHTTPServer:
    expected = "Basic " + base64.b64encode(f"{PUBLIC}:{SECRET}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("content-length", 0))
            raw = self.rfile.read(length)
            url = urlsplit(self.path)
            if url.path.startswith("/control/"):
                self._send(200, _control(stand_in, url.path, json.loads(raw or b"null")))
                return
            stand_in.requests.append((self.command, url.path))
            trouble = stand_in.trouble(self.command, url.path)
            if trouble == "drop":
                self.close_connection = True
                return
            if trouble == "hang":
                time.sleep(stand_in.hang_s)
            if trouble.isdigit():
                headers = {"retry-after": "0.01"} if trouble == "429" else {}
                self._send(int(trouble), {"message": "in trouble"}, **headers)
                return
            try:
                if self.headers.get("authorization") != expected:
                    raise Refusal(401, {"message": "Invalid credentials. Confirm your keys."})
                query = {k: v[0] for k, v in parse_qs(url.query, keep_blank_values=True).items()}
                body = json.loads(raw) if raw else None
                status, answer = stand_in.handle(self.command, url.path, query, body)
            except Refusal as refusal:
                self._send(refusal.status, refusal.body)
                return
            if trouble == "lost":
                self.close_connection = True
                return
            self._send(status, answer)

        do_POST = do_DELETE = do_GET

        def _send(self, status: int, body: Any, **headers: str) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that was killed leaves its connection open: no fault of ours."""
            if not isinstance(sys.exc_info()[1], ConnectionError):
                super().handle_error(request, client_address)

    server = Server(("127.0.0.1", 0), Handler)
    stand_in.url = f"http://127.0.0.1:{server.server_port}"
    return server


def _control(stand_in: StandIn, path: str, body: Any) -> Any:
    """What a test asks a stand-in of another process."""
    if path == "/control/missing":
        return [id for id in body if id not in stand_in.writes]
    if path == "/control/ids":
        return [score["id"] for score in stand_in.scores]
    if path == "/control/writes":
        return dict(stand_in.writes)
    if path == "/control/troubled":
        stand_in.fails_first = 0.01 if body else 0.0
        stand_in.trouble = _half_of_the_time(body) if body else lambda method, path: ""
        return None
    raise AssertionError(path)


def _half_of_the_time(seed: int) -> Callable[[str, str], str]:
    """Up and down in turns of a few hundredths of a second; down in every way."""
    chance = random.Random(seed)
    turn_s = 0.03

    def trouble(method: str, path: str) -> str:
        if int(time.monotonic() / turn_s) % 2:
            return ""
        return chance.choice(["500", "503", "429", "drop", "lost", "lost", "hang"])

    return trouble


if __name__ == "__main__":
    alone = StandIn(hang_s=0.05, delay_s=float(sys.argv[1]))
    with_port = _server(alone)
    print(alone.url, flush=True)
    with_port.serve_forever()
