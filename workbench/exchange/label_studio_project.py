"""A project on a Label Studio server: made or found, filled with tasks, looked at.

    server = Server("http://127.0.0.1:8080", token)
    exported = export_pairs(server, candidate_sets, title="Sky", seed=0)

Tasks carry a `task_key` and are looked for by it before they are sent, so that an
export can be repeated, whatever it was interrupted by. Annotators see no opinion
of a model: no predictions are sent and none is shown. Knows nothing about ratings.
Not a guard against two exports to one project at the same moment.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from workbench.errors import InputError, ServerError
from workbench.exchange.label_studio import Task, Template, config, tasks
from workbench.records import CandidateSet

if TYPE_CHECKING:
    import httpx
    from label_studio_sdk import LabelStudio

PATIENCE_S = 600.0
"""Longest wait for one answer: a batch of long answers takes its time."""
PAGE = 500
"""Tasks per page of a listing."""
LARGEST_BATCH = 16_000_000
"""Bytes sent in one call; Label Studio's own limit is 200 MB."""
CONTROLS = {"verdict": "verdict", "pairwise": "pairwise", "ranker": "ranking"}
"""The field without which a template's annotations say nothing."""
_REVISION = 1

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Server:
    """Where Label Studio answers, and the token of the account to use there.

    Raises InputError for what is no address or no token; neither is repeated, since
    both may hold a secret.
    """

    url: str
    token: str = field(repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
        except ValueError:
            parts = urlsplit("")
        if "@" in self.url:
            raise InputError(
                "The address of Label Studio holds a user name or a password",
                "Set LABEL_STUDIO_URL to the address without it, and LABEL_STUDIO_API_KEY",
            )
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(
                "What is given is not an address of a Label Studio",
                "Set LABEL_STUDIO_URL to something like http://127.0.0.1:8080",
            )
        if not (self.token.isascii() and self.token.isprintable()):
            raise InputError(
                "The token of Label Studio holds a character that no token has",
                "Copy LABEL_STUDIO_API_KEY again from Account & Settings there",
            )

    def client(self, connection: httpx.Client | None = None) -> LabelStudio:
        """Label Studio's own client. Nothing is tried twice behind our back."""
        from label_studio_sdk import LabelStudio

        return LabelStudio(
            base_url=self.url.rstrip("/"),
            api_key=self.token,
            timeout=PATIENCE_S,
            max_retries=0,
            httpx_client=connection,
        )


@dataclass(frozen=True)
class Project:
    """A project as it is on the server. Counts cover all annotators; skips are annotations.

    `at` is when that was, by the clock that the server's answers show (ISO 8601 in UTC, in
    whole seconds); empty where they show none.
    """

    id: int
    at: str
    config: str
    made_at: str
    tasks: int
    annotations: int
    overlap: int


@dataclass(frozen=True)
class Exported:
    """Where the tasks are: `new` were sent now, `present` were there before."""

    project: int
    url: str
    new: int
    present: int


def export_pairs(
    server: Server,
    candidate_sets: Sequence[CandidateSet],
    *,
    title: str,
    seed: int,
    template: Template = "verdict",
    overlap: int = 1,
    batch: int = 500,
    progress: Progress = lambda done, total: None,
) -> Exported:
    """Make the pairs of `candidate_sets` (for the ranker: the sets) tasks of a project.

    The project of that `title` (3 to 50 characters; spaces around it are dropped, as
    the server does) is made, or found and filled up: a task that is there is not sent
    again, nor a pair that is there in the other order. The order of a new one follows
    from `seed`. `overlap` is how many annotators judge each task. Tasks go in batches
    of at most `batch`; `progress` is told how many of all are there. Raises InputError
    for sets that can't be shown and for a project of that title whose page lacks the
    template's fields, ServerError when the server fails.
    """
    title = title.strip()
    if overlap < 1 or batch < 1 or not 3 <= len(title) <= 50:
        raise InputError(
            f"Overlap {overlap}, batch {batch} and the title {title!r} make no project",
            "Give at least 1, at least 1, and a title of 3 to 50 characters",
        )
    wanted = tasks(candidate_sets, seed=seed, template=template)
    with asking(server) as client:
        project = _find(client, title, template) or _make(client, title, template, overlap)
        if project.overlap != overlap:
            client.projects.update(id=project.id, maximum_annotations=overlap)
        there = _keys(client, project)
        missing = [task for task in wanted if there.isdisjoint((task.key, task.turned))]
        present = done = len(wanted) - len(missing)
        progress(done, len(wanted))
        for some in _batches(missing, batch):
            request: list[Any] = [{"data": task.data} for task in some]
            client.projects.import_tasks(id=project.id, request=request)
            done += len(some)
            progress(done, len(wanted))
    url = f"{server.url.rstrip('/')}/projects/{project.id}"
    return Exported(project.id, url, len(missing), present)


def annotators(server: Server) -> dict[int, str]:
    """E-mail of every account there, by the number that exported files give it."""
    with asking(server) as client:
        return {user.id: user.email for user in client.users.list() if user.id and user.email}


def look(client: LabelStudio, id: int) -> Project:
    """The project of that number."""
    answer = client.projects.with_raw_response.get(id=id)
    found = answer.data
    return Project(
        id=id,
        at=_clock(answer.headers.get("date", "")),
        config=found.label_config or "",
        made_at=found.created_at.isoformat() if found.created_at else "",
        tasks=found.task_number or 0,
        annotations=(found.total_annotations_number or 0) + (found.skipped_annotations_number or 0),
        overlap=found.maximum_annotations or 1,
    )


def _clock(date: str) -> str:
    """An HTTP Date (RFC 9110, 5.6.7) as ISO 8601 in UTC; empty for anything else."""
    try:
        at = parsedate_to_datetime(date)
    except ValueError:
        return ""
    sound = at.tzinfo is not None and 1970 <= at.year <= 9998
    return at.astimezone(UTC).isoformat() if sound else ""


def listed(client: LabelStudio, project: int, include: str, **query: Any) -> Iterator[Any]:
    """The project's tasks, page by page; `include` names their fields, nested ones too."""
    asked = json.dumps(query) if query else None
    return iter(client.tasks.list(project=project, include=include, page_size=PAGE, query=asked))


@contextmanager
def asking(server: Server) -> Iterator[LabelStudio]:
    """A client whose failures are one clear line; the token is never part of it."""
    import httpx
    from label_studio_sdk.core.api_error import ApiError
    from pydantic import ValidationError

    try:
        with httpx.Client(timeout=PATIENCE_S, follow_redirects=True) as connection:
            yield server.client(connection)
    except ApiError as error:
        raise _refusal(server.url, error.status_code, error.body) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServerError(
            f"Label Studio at {server.url} can't be reached ({type(error).__name__})",
            "Start it (workbench up label-studio) or correct LABEL_STUDIO_URL",
        ) from None
    except (ValidationError, json.JSONDecodeError):
        raise _stranger(server.url) from None


def _refusal(url: str, status: int | None, body: Any) -> ServerError:
    if status in (401, 403):
        return ServerError(
            f"Label Studio at {url} refuses the token ({status})",
            "Set LABEL_STUDIO_API_KEY to a token of an account there (Account & Settings)",
        )
    if not isinstance(body, dict) and (status or 0) < 500:
        return _stranger(url)
    if status == 404:
        return ServerError(
            f"Label Studio at {url} has no such project for this account",
            "Check the number of the project, and that its token may see it",
        )
    told = body.get("validation_errors") or body.get("detail") if isinstance(body, dict) else body
    return ServerError(
        f"Label Studio at {url} failed ({status}): {json.dumps(told)[:300]}",
        "Repeat the step: what was done is kept. If it fails again, see the server's log",
    )


def _stranger(url: str) -> ServerError:
    return ServerError(
        f"What answers at {url} is not a Label Studio that we know",
        "Correct LABEL_STUDIO_URL, or use Label Studio 1.23",
    )


def _find(client: LabelStudio, title: str, template: Template) -> Project | None:
    """The project of that title: of several, the one made here from this template."""
    listing: Iterable[Any] = client.projects.list(title=title)
    found = [one for one in listing if one.title == title]
    ours = [one for one in found if one.description == _marker(template)]
    for candidate in ours or found:
        project = look(client, candidate.id)
        if _has_control(project.config, CONTROLS[template]):
            return project
    if found:
        raise InputError(
            f"The project {title!r} has no field {CONTROLS[template]!r} on its page",
            f"Use another title, or give it the configuration of the template {template!r}",
        )
    return None


def _make(client: LabelStudio, title: str, template: Template, overlap: int) -> Project:
    made: Any = client.projects.create(
        title=title,
        description=_marker(template),
        label_config=config(template),
        maximum_annotations=overlap,
        enable_empty_annotation=False,
        show_collab_predictions=False,
    )
    return look(client, made.id)


def _marker(template: Template) -> str:
    """What tells a project made here from another one of the same title."""
    return f"Workbench, template {template}, revision {_REVISION}"


def _has_control(page: str, name: str) -> bool:
    from label_studio_sdk.label_interface import LabelInterface

    try:
        return any(control.name == name for control in LabelInterface(page).controls or ())
    except Exception:  # the SDK raises whatever its XML parser does
        return False


def _keys(client: LabelStudio, project: Project) -> set[str]:
    if not project.tasks:
        return set()
    data = (task.data for task in listed(client, project.id, "id,data"))
    return {str(d["task_key"]) for d in data if isinstance(d, dict) and "task_key" in d}


def _batches(missing: Iterable[Task], most: int) -> Iterator[list[Task]]:
    batch: list[Task] = []
    size = 0
    for task in missing:
        own = len(msgspec.json.encode(task.data))
        if batch and (len(batch) == most or size + own > LARGEST_BATCH):
            yield batch
            batch, size = [], 0
        batch.append(task)
        size += own
    if batch:
        yield batch
