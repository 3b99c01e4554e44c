"""What a pull from Label Studio remembers: the tasks it saw, and what gave which rating.

A file of one project alone. Knows nothing about annotations and journals.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from workbench.errors import InputError
from workbench.exchange.label_studio_project import Project, Server
from workbench.journal import write_whole


class Seen(NamedTuple):
    """A task as it was last read; `usable` when its question and annotators were known."""

    updated_at: str
    annotations: int
    usable: bool


class Origin(NamedTuple):
    """What gave a rating: whose annotation of which task, and what the task asked then."""

    task: int
    annotation: int
    question: str
    rater: str


@dataclass(frozen=True)
class Cursor:
    """`since` is when the last pull began, by the clock that the server's answers show: what
    changed later may be new. `questions` is what could be understood then.

    `emails` are those of all accounts that the server ever listed: whose account is
    removed there keeps the name. `given` is by rating.
    """

    server: str
    project: int
    made_at: str
    questions: str = ""
    since: str = ""
    emails: dict[int, str] = field(default_factory=dict)
    tasks: dict[int, Seen] = field(default_factory=dict)
    given: dict[str, Origin] = field(default_factory=dict)


def load(path: Path, server: Server, project: Project) -> Cursor:
    """The cursor in a file, or a new one. Raises InputError for another project's."""
    fresh = Cursor(server.url.rstrip("/"), project.id, project.made_at)
    if not path.exists():
        return fresh
    try:
        cursor = msgspec.json.decode(path.read_bytes(), type=Cursor)
    except (OSError, ValueError) as error:
        raise InputError(
            f"The cursor {path} can't be read ({type(error).__name__})",
            "Remove it: the project is then read anew, and nothing is counted twice",
        ) from None
    if (cursor.project, cursor.made_at) != (project.id, project.made_at):
        raise InputError(
            f"The cursor {path} belongs to another project than {project.id} at {server.url}",
            "Give each project a cursor file of its own",
        )
    return replace(cursor, server=fresh.server)


def save(path: Path, cursor: Cursor) -> None:
    """Raises InputError where it can't be written."""
    write_whole(path, msgspec.json.encode(cursor))
