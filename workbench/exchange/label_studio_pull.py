"""Annotations into the journal of ratings: the new, the changed and the taken back.

    pulled = pull_annotations(server, project, candidate_sets, ratings, aside, cursor=path)

The cursor file remembers which tasks were seen and which annotation gave which
rating, so that a pull reads only what changed, and an annotation or a task that
was deleted there is taken back here. Ratings are written first, then the cursor:
after a kill the next pull reads the same again, and ids made from content keep it
from being counted twice. Without its cursor file a project is read anew, and what
was deleted before is not noticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from workbench import ratings as rules
from workbench.exchange.label_studio_annotations import (
    DOOR,
    Pulled,
    alone,
    append_new,
    clean,
    in_utc,
    person,
    read,
    set_aside,
)
from workbench.exchange.label_studio_cursor import Cursor, Origin, Seen, load, save
from workbench.exchange.label_studio_project import (
    Project,
    Server,
    annotators,
    asking,
    listed,
    look,
)
from workbench.exchange.label_studio_questions import (
    OurTasks,
    Question,
    Questions,
    TheirTasks,
    Unusable,
    part,
)
from workbench.journal import Journal, make_folder
from workbench.records import CandidateSet, Rating, SetAside, content_id

OVERLAP = timedelta(seconds=2)
"""How far a pull looks back behind the last one's beginning, for any change."""
LATE = timedelta(seconds=30)
"""How far it looks back among annotated tasks, of which few change at a time.

A change is stamped before it is visible: a SQLite that is busy lets it wait for seconds. Nor is
the clock that the server's answers show always the one that stamps, behind a proxy. New and
deleted annotations that come later still are noticed by their number, edits are not.
"""
_FIELDS = "id,data,updated_at,annotations,result,completed_by,was_cancelled,lead_time"


def pull_annotations(
    server: Server,
    project: int,
    candidate_sets: Sequence[CandidateSet],
    ratings: Journal[Rating],
    aside: Journal[SetAside],
    *,
    cursor: Path | str,
    names: Mapping[str, str] | None = None,
) -> Pulled:
    """Take in what annotators did in a project of ours since the last pull.

    Every annotation of every annotator becomes a rating of `person:EMAIL` (or of
    the name that `names` has for the e-mail), a skip one of kind "skip", an edited
    one a new rating that replaces the old; one that is gone is taken back by an
    undo. What can't be used goes to `aside` with its reason; so does the annotation
    of an account that the server does not list, until `names` has an e-mail for its
    number (as text). A rating that is here already keeps its rater's name. `cursor`
    is a file of this project alone. Raises ServerError when the server fails and
    InputError for the cursor of another project; what was taken in before is kept.
    """
    with asking(server) as client:
        found = look(client, project)
        questions = OurTasks(candidate_sets)
        return _pull(server, client, found, questions, ratings, aside, None, cursor, names or {})


def pull_foreign(
    server: Server,
    project: int,
    sets: Journal[CandidateSet],
    ratings: Journal[Rating],
    aside: Journal[SetAside],
    *,
    cursor: Path | str,
    names: Mapping[str, str] | None = None,
) -> Pulled:
    """`pull_annotations` from a project that others made with Label Studio's <Pairwise>.

    Their texts become candidate sets, appended to `sets`: prompt, left and right
    answer, of whom nothing else is known.
    """
    with asking(server) as client:
        found = look(client, project)
        questions = TheirTasks(found.config)
        return _pull(server, client, found, questions, ratings, aside, sets, cursor, names or {})


def _pull(
    server: Server,
    client: Any,
    project: Project,
    questions: Questions,
    ratings: Journal[Rating],
    aside: Journal[SetAside],
    sets: Journal[CandidateSet] | None,
    path: Path | str,
    names: Mapping[str, str],
) -> Pulled:
    from filelock import FileLock

    path = Path(path)
    make_folder(path.parent)
    with FileLock(path.with_name(path.name + ".lock")):
        cursor = load(path, server, project)
        cursor = replace(cursor, emails={**cursor.emails, **annotators(server)})
        known = {rating.id: rating.rater for rating in ratings}
        look_for = _Look(server, project, questions, names, known, cursor)
        look_for.take(_changed(client, cursor))
        if look_for.differs_from(project) or look_for.may_understand_more:
            look_for.take_all(listed(client, project.id, _FIELDS))
        return _write(look_for, path, ratings, aside, sets)


class _Look:
    """What one pull saw, task by task, against what the cursor remembers."""

    def __init__(
        self,
        server: Server,
        project: Project,
        questions: Questions,
        names: Mapping[str, str],
        raters: Mapping[str, str],
        cursor: Cursor,
    ) -> None:
        self._where = f"{server.url.rstrip('/')}/projects/{project.id}/data?task="
        self._questions = questions
        self._names = names
        self._raters = raters
        self.before = cursor
        self.since = project.at or cursor.since
        self.tasks = dict(cursor.tasks)
        self.given: dict[str, Origin] = {}
        self.ratings: list[Rating] = []
        self.sets: list[CandidateSet] = []
        self.aside: list[SetAside] = []
        self.read: set[int] = set()
        self._understood: set[int] = set()

    def differs_from(self, project: Project) -> bool:
        """Whether the server counts other tasks or annotations than were seen."""
        seen = sum(task.annotations for task in self.tasks.values())
        return (len(self.tasks), seen) != (project.tasks, project.annotations)

    @property
    def may_understand_more(self) -> bool:
        """Whether tasks that meant nothing to the questions of the last pull may mean something."""
        puzzling = any(not seen.usable for seen in self.tasks.values())
        return puzzling and self.before.questions != self.questions

    def take(self, tasks: Iterable[Any]) -> set[int]:
        """Read the tasks that are new, changed, or were not understood before; all their ids."""
        met = set()
        for task in tasks:
            met.add(task.id)
            annotations = task.annotations or []
            try:
                updated_at = in_utc(task.updated_at)
            except Unusable:
                updated_at = ""
            as_before = Seen(updated_at, len(annotations), usable=True)
            if task.id in self.read or (updated_at and self.tasks.get(task.id) == as_before):
                continue
            self.read.add(task.id)
            usable = self._take_task(task.id, task.data, annotations)
            self.tasks[task.id] = Seen(updated_at, len(annotations), usable)
        return met

    def take_all(self, tasks: Iterable[Any]) -> None:
        """`take` every task there is: those that are missing were deleted."""
        gone = set(self.tasks) - self.take(tasks)
        self.read |= gone
        self._understood |= gone
        for id in gone:
            del self.tasks[id]

    def taken_back(self) -> list[str]:
        """Ids of ratings whose annotation is gone, or no longer says anything."""
        still_given = set(self.given.values())
        return [
            rating
            for rating, origin in self.before.given.items()
            if origin.task in self._understood
            and rating not in self.given
            and origin not in still_given
        ]

    @property
    def questions(self) -> str:
        """What can be understood now: tasks and annotators."""
        return content_id(self._questions.id, sorted(self._names), sorted(self.before.emails))

    def _take_task(self, id: int, data: Any, annotations: Sequence[Any]) -> bool:
        """Whether all of it was understood: its question and its annotators."""
        source = f"{self._where}{id}"
        try:
            annotations = clean(annotations)
        except Unusable as error:
            self.aside.append(SetAside(source, str(error), ""))
            return False
        try:
            question = self._questions.of(clean(data)) if annotations else None
        except Unusable as error:
            self.aside += [set_aside(annotation, source, str(error)) for annotation in annotations]
            return False
        self._understood.add(id)
        if question is None:
            return True
        self.sets.append(question.candidate_set)
        known = [self._take(id, source, question, annotation) for annotation in annotations]
        return all(known)

    def _take(self, task: int, source: str, question: Question, annotation: Any) -> bool:
        """Whether its annotator was known."""
        try:
            rater = person(part(annotation, "completed_by"), self.before.emails, self._names)
        except Unusable as error:
            self.aside.append(set_aside(annotation, source, str(error)))
            return False
        reading = read(annotation, question, person=rater, source=source)
        self.aside += reading.aside
        if reading.rating is not None:
            rater = self._raters.get(reading.rating.id, rater)
            origin = Origin(task, part(annotation, "id") or 0, question.id, rater)
            self.given[reading.rating.id] = origin
            self.ratings.append(reading.rating)
        return True


def _changed(client: Any, cursor: Cursor) -> Iterator[Any]:
    """Tasks changed since the cursor, some of them twice; all of them for a new one."""
    from label_studio_sdk.data_manager import Column, Filters, Operator, Type

    def changed(since: datetime, *conditions: Any) -> Iterator[Any]:
        stamp = Filters.datetime(since)
        later = Filters.item(Column.updated_at, Operator.GREATER_OR_EQUAL, Type.Datetime, stamp)
        filters = Filters.create(Filters.AND, [later, *conditions])
        return listed(client, cursor.project, _FIELDS, filters=filters)

    if not cursor.since:
        return listed(client, cursor.project, _FIELDS)
    since = datetime.fromisoformat(cursor.since).astimezone(UTC)
    counts = (Column.total_annotations, Column.cancelled_annotations)
    annotated = [Filters.item(n, Operator.GREATER, Type.Number, 0) for n in counts]
    late = (changed(since - LATE, condition) for condition in annotated)
    return chain(changed(since - OVERLAP), chain.from_iterable(late))


def _write(
    seen: _Look,
    path: Path,
    ratings: Journal[Rating],
    aside: Journal[SetAside],
    sets: Journal[CandidateSet] | None,
) -> Pulled:
    """Journals, then the cursor; before both, what the journal is about to hold.

    A rating that is in the journal is in the cursor as well: else a kill between
    the two, followed by a deletion on the server, would leave a rating that nobody
    takes back.
    """
    given = {**seen.before.given, **seen.given}
    if seen.ratings:
        save(path, replace(seen.before, given=given))
    if sets is not None:
        append_new(sets, seen.sets)
    new = append_new(ratings, seen.ratings)
    gone = seen.taken_back()
    undone = _take_back(ratings, gone, seen.given)
    with alone(aside):
        rejected = rules.set_aside(aside, seen.aside)
    save(
        path,
        replace(
            seen.before,
            questions=seen.questions,
            since=seen.since,
            tasks=seen.tasks,
            given={id: given[id] for id in given.keys() - set(gone)},
        ),
    )
    return Pulled(new, undone, rejected, len(seen.read))


def _take_back(ratings: Journal[Rating], gone: Iterable[str], there: Mapping[str, Origin]) -> int:
    """Undo the ratings that are gone, and our own undo of one that is there again."""
    journal = [rating for rating in ratings if rating.door == DOOR]
    journal.sort(key=lambda rating: datetime.fromisoformat(rating.at))
    by_id = {rating.id: rating for rating in journal}
    undone: dict[str | None, Rating] = {}
    for rating in reversed(journal):
        if rating.kind == "undo" and rating.id not in undone:
            undone[rating.undoes] = rating
    back = [by_id[id] for id in gone if id in by_id and id not in undone]
    again = [undone[id] for id in there if id in undone]
    undos = [_undo(rating) for rating in (*back, *again)]
    if undos:
        ratings.append(*undos)
    return len(back)


def _undo(rating: Rating) -> Rating:
    at = max(datetime.now(UTC), datetime.fromisoformat(rating.at)).isoformat()
    return Rating(
        id=content_id("undo", rating.id, at),
        kind="undo",
        candidate_set=rating.candidate_set,
        shown=rating.shown,
        rater=rating.rater,
        door=DOOR,
        at=at,
        undoes=rating.id,
    )
