"""One project on a Langfuse server, as far as ratings need it.

    project = connect(Settings.load())
    project.put_scores([NewScore(...)])
    for trace in project.traces(Filters(tags=("pilot",))): ...

The two SDKs differ only here: SDK 5 writes scores by `POST /api/public/scores`
and reads them by `api.scores`, SDK 4 writes them by `/api/public/ingestion` and
reads them by `api.scores_v3`. Only the SDK's `api` client is used, a client of
our own: it has no thread, no queue and no singleton that could lose anything.
Knows nothing about ratings, journals or when to try again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property, partial
from importlib.metadata import version
from typing import Any, TypeVar
from urllib.parse import quote

from workbench.errors import ServerError, SettingsError
from workbench.exchange.langfuse_errors import (
    Invalid,
    Missing,
    Unavailable,
    one_line,
    passes_later,
    translated,
    unauthorised,
)
from workbench.exchange.langfuse_records import (
    DatasetItem,
    Filters,
    NewScore,
    Receipt,
    Score,
    ScoreConfig,
    Trace,
    score_of,
    text_of,
    trace_of,
    utc,
)
from workbench.settings import LANGFUSE_CLOUD, Settings
from workbench.tracing.spans import json_value

T = TypeVar("T")

PATIENCE_S = 10.0
"""Longest wait for one answer of the server."""
ATTEMPTS = 3
"""How often a read is tried; waits of 1 and 2 s lie between, or what the server asks for."""
_PAGE = 100
_OBSERVATION_FIELDS = "core,basic,io,metadata,model,usage,metrics,trace_context"
_WHOLE_METADATA = "completions,consent,topic"
"""Keys of a trace's metadata that the server must not cut at 200 characters."""


def connect(settings: Settings) -> LangfuseProject:
    """The project that the keys of `settings` open; nothing is sent yet.

    An empty LANGFUSE_BASE_URL means Langfuse's cloud. Raises SettingsError where
    a key is missing.
    """
    public, secret = settings.langfuse_public_key, settings.langfuse_secret_key
    if not (public and secret):
        missing = "LANGFUSE_SECRET_KEY" if public else "LANGFUSE_PUBLIC_KEY"
        raise SettingsError(
            f"{missing} is empty",
            "Set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY, in the environment or in .env",
        )
    return LangfuseProject((settings.langfuse_base_url or LANGFUSE_CLOUD).rstrip("/"), settings)


class LangfuseProject:
    """A client for one project.

    Every call raises Unavailable (try later), Invalid (never), or ServerError
    (the keys are wrong, or this is no Langfuse). Reads are tried ATTEMPTS times,
    writes once: whoever writes knows what to repeat.
    """

    def __init__(self, base_url: str, settings: Settings) -> None:
        self.base_url = base_url
        self.known_id = ""
        """The project's id once the server has said it."""
        self._settings = settings

    @property
    def id(self) -> str:
        """The project's id; it tells these keys' traces and scores from another project's."""
        return self.identify()

    def identify(self, attempts: int = ATTEMPTS, patience_s: float = PATIENCE_S) -> str:
        """The project's id; the server is asked until it has said it once."""
        if not self.known_id:
            options: Any = {**_ONCE, "timeout_in_seconds": patience_s}
            answer = self._read(lambda: self._api.projects.get(request_options=options), attempts)
            if not answer.data:
                raise ServerError(
                    f"Langfuse at {self.base_url} names no project of these keys",
                    "Take the keys of a project, not those of an organisation",
                )
            self.known_id = text_of(answer.data[0].id)
        return self.known_id

    def close(self) -> None:
        """Close connections; a later call opens them again."""
        if api := self.__dict__.pop("_api", None):
            api._client_wrapper.httpx_client.httpx_client.close()

    # --- scores -----------------------------------------------------------

    def put_scores(self, scores: Sequence[NewScore], patience_s: float = PATIENCE_S) -> Receipt:
        """Write scores. A `Receipt` says of each what became of it."""
        ids = tuple(score.id for score in scores)
        options = {**_ONCE, "timeout_in_seconds": patience_s}
        try:
            with translated(self.base_url):
                if self._sdk_4:
                    return self._ingest(scores, options)
                answer = self._api.scores.create(
                    request=[_score_json(score) for score in scores], request_options=options
                )
        except Invalid as error:
            if len(ids) == 1:
                return Receipt(refused={ids[0]: error.reason})
            return Receipt(unclear=ids)
        rejected = getattr(answer, "rejected", 0)
        if not rejected:
            return Receipt(accepted=ids)
        if rejected < len(ids):
            return Receipt(unclear=ids)
        messages = dict.fromkeys(text_of(error.message) for error in answer.errors)
        reason = one_line("; ".join(messages)) or "rejected without a reason"
        return Receipt(rejected=dict.fromkeys(ids, reason))

    def delete_score(self, id: str) -> None:
        """Ask for a score to be deleted; one that is not there is no error. The server
        deletes later, so that an id that was deleted must not be used again."""
        scores = self._api.legacy.score_v1 if self._sdk_4 else self._api.scores
        try:
            with translated(self.base_url):
                scores.delete(id, request_options=_ONCE)
        except Missing:
            return

    def scores(self, filters: Filters) -> Iterator[Score]:
        """All scores of those names, written since `filters.since`, on whatever they stand."""
        names = ",".join(filters.scores) or None
        yield from self._scores(name=names, from_timestamp=filters.since)

    def scores_by_id(self, ids: Sequence[str], attempts: int = ATTEMPTS) -> Iterator[Score]:
        """The scores of those ids that are there, asked for `attempts` times at most."""
        for start in range(0, len(ids), 50):
            yield from self._scores(attempts, id=",".join(ids[start : start + 50]))

    def score_configs(self) -> dict[str, ScoreConfig]:
        """The project's score configs, by id."""
        return {
            text_of(config.id): ScoreConfig(
                config.min_value,
                config.max_value,
                {text_of(c.label): float(c.value) for c in config.categories or ()},
            )
            for config in self._pages(self._api.score_configs.get)
        }

    # --- traces -----------------------------------------------------------

    def traces(self, filters: Filters) -> Iterator[Trace]:
        """The traces that `filters` name, by their root observations."""
        conditions = json.dumps(_conditions(filters))
        cursor = None
        while True:
            page = self._read(
                partial(
                    self._api.observations.get_many,
                    fields=_OBSERVATION_FIELDS,
                    expand_metadata=_WHOLE_METADATA,
                    filter=conditions,
                    limit=_PAGE,
                    cursor=cursor,
                    request_options=_ONCE,
                )
            )
            yield from (trace_of(o) for o in page.data if o.trace_id)
            if page.meta.cursor in (None, cursor):
                return
            cursor = page.meta.cursor

    # --- datasets ---------------------------------------------------------

    def dataset_items(self, dataset: str) -> Iterator[DatasetItem]:
        """The active items of a dataset. Raises Missing where there is no such dataset."""
        name = quote(dataset, safe="")  # the SDK puts it into the path as it is
        self._read(lambda: self._api.datasets.get(name, request_options=_ONCE))
        for item in self._pages(self._api.dataset_items.list, dataset_name=dataset):
            if str(item.status) == "ACTIVE":
                content = json_value([item.input, item.expected_output, item.metadata])
                yield DatasetItem(text_of(item.id), *content)

    def put_dataset(self, dataset: str) -> None:
        """Make sure that there is a dataset of that name."""
        self._read(lambda: self._api.datasets.create(name=dataset, request_options=_ONCE))

    def put_dataset_item(self, dataset: str, item: DatasetItem) -> None:
        """Write an item under its id, which must not belong to another dataset."""
        from langfuse.api import DatasetStatus

        self._read(
            lambda: self._api.dataset_items.create(
                dataset_name=dataset,
                id=item.id,
                input=item.input,
                expected_output=item.expected_output,
                metadata=item.metadata,
                status=DatasetStatus(item.status),
                request_options=_ONCE,
            )
        )

    # --- the SDK ----------------------------------------------------------

    @cached_property
    def _api(self) -> Any:
        import httpx
        from langfuse.api import LangfuseAPI

        public, secret = self._settings.langfuse_public_key, self._settings.langfuse_secret_key
        return LangfuseAPI(
            base_url=self.base_url,
            username=public,
            password=secret,
            x_langfuse_sdk_name="python",
            x_langfuse_sdk_version=version("langfuse"),
            x_langfuse_public_key=public,
            httpx_client=httpx.Client(timeout=PATIENCE_S),
            timeout=PATIENCE_S,
        )

    @property
    def _sdk_4(self) -> bool:
        return hasattr(self._api, "scores_v3")

    def _ingest(self, scores: Sequence[NewScore], options: Mapping[str, Any]) -> Receipt:
        """SDK 4: an event per score, and an answer per event (its id is the score's)."""
        from langfuse.api.ingestion import (  # type: ignore[import-not-found,unused-ignore]
            IngestionEvent_ScoreCreate,
            ScoreBody,
        )

        events = [
            IngestionEvent_ScoreCreate(
                id=score.id, timestamp=score.at, body=ScoreBody(**_score_fields(score))
            )
            for score in scores
        ]
        answer = self._api.ingestion.batch(batch=events, request_options=options)
        accepted = tuple(success.id for success in answer.successes)
        refused = {}
        rejected = dict.fromkeys((score.id for score in scores), "the server said nothing of it")
        for error in answer.errors:
            message = one_line(error.message or error.error or error.status)
            if error.status in (401, 403):
                raise unauthorised(self.base_url, message)
            if 400 <= error.status < 500 and not passes_later(error.status):
                refused[error.id] = message
            elif error.id in rejected:
                rejected[error.id] = message
        for id in (*accepted, *refused):
            rejected.pop(id, None)
        return Receipt(accepted, refused, rejected)

    def _scores(self, attempts: int = ATTEMPTS, **query: Any) -> Iterator[Score]:
        get = self._api.scores_v3.get_many_v3 if self._sdk_4 else self._api.scores.get_many
        cursor = None
        while True:
            page = self._read(
                partial(
                    get,
                    limit=_PAGE,
                    cursor=cursor,
                    fields="details,subject,annotation",
                    request_options=_ONCE,
                    **query,
                ),
                attempts,
            )
            yield from map(score_of, page.data)
            if page.meta.cursor in (None, cursor):
                return
            cursor = page.meta.cursor

    def _pages(self, get: Callable[..., Any], **query: Any) -> Iterator[Any]:
        number = 1
        while True:
            page = self._read(
                partial(get, page=number, limit=_PAGE, request_options=_ONCE, **query)
            )
            yield from page.data
            if number >= page.meta.total_pages or not page.data:
                return
            number += 1

    def _read(self, call: Callable[[], T], attempts: int = ATTEMPTS) -> T:
        """The answer of an idempotent call, tried again while the server is in trouble."""
        for attempt in range(attempts):
            try:
                with translated(self.base_url):
                    return call()
            except Unavailable as error:
                if attempt == attempts - 1:
                    raise
                time.sleep(max(2.0**attempt, error.retry_after or 0.0))
        raise AssertionError("unreachable")


_ONCE: Any = {"max_retries": 0}


def _score_fields(score: NewScore) -> dict[str, Any]:
    return {
        "id": score.id,
        "trace_id": score.trace,
        "name": score.name,
        "value": score.value,
        "data_type": score.data_type,
        "comment": score.comment or None,
        "metadata": dict(score.metadata) or None,
    }


def _score_json(score: NewScore) -> dict[str, Any]:
    """The score as the endpoint takes it; SDK 5 sends its own scores this way too."""
    fields = _score_fields(score)
    fields["traceId"], fields["dataType"] = fields.pop("trace_id"), fields.pop("data_type")
    given = {name: value for name, value in fields.items() if value is not None}
    return {**given, "timestamp": score.at}


def _conditions(filters: Filters) -> list[dict[str, Any]]:
    """Langfuse's `filter`, which silences every other parameter: so all stands in it."""
    conditions: list[tuple[str, str, str, Any]] = [("boolean", "isRootObservation", "=", True)]
    if filters.since:
        conditions.append(("datetime", "startTime", ">=", _iso(filters.since)))
    if filters.until:
        conditions.append(("datetime", "startTime", "<", _iso(filters.until)))
    if filters.tags:
        conditions.append(("arrayOptions", "traceTags", "all of", list(filters.tags)))
    if filters.session:
        conditions.append(("string", "sessionId", "=", filters.session))
    if filters.name:
        conditions.append(("string", "name", "=", filters.name))
    names = ("type", "column", "operator", "value")
    return [dict(zip(names, condition, strict=True)) for condition in conditions]


def _iso(moment: datetime) -> str:
    return utc(moment).isoformat(timespec="milliseconds").replace("+00:00", "Z")
