"""Other people's runs and judgements, from Langfuse into our journals.

    pulled = pull_scores(project, Filters(tags=("pilot",)), candidates, ratings, aside)

Traces become candidate sets: those whose input reads the same, and whose authors
said the same about consent, are one set, so that their scores give pairs. Scores
on them become ratings. Pulling again appends nothing; a score that was changed
is a new rating, one that was deleted while its trace stays is an undo. Ratings
that another workbench sent as scores come back whole, rankings included, under
their own ids; that one of those was taken back later is not seen.

What can't be read goes to `aside` with its reason. Not known here: how an answer
was sampled, its tokens, and whether a rater is who a score says. The first
reading of a trace stays; a later change of its text is not followed. Whoever
may write to the project can write any score.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from workbench.exchange.langfuse_project import LangfuseProject
from workbench.exchange.langfuse_records import Filters, Score
from workbench.exchange.langfuse_traces import Traces
from workbench.exchange.scores import (
    BOTH_BAD,
    DOOR,
    RATING,
    Judgement,
    Meaning,
    guess,
    is_share,
    rater_of,
    read,
)
from workbench.journal import Journal
from workbench.ratings import not_undone, set_aside
from workbench.records import (
    CandidateSet,
    Rating,
    SetAside,
)


@dataclass(frozen=True)
class Pulled:
    """What a pull found and what of it was new.

    `traces` and `scores` were read, `unfinished` traces have not ended yet,
    `elsewhere` are scores of traces that were not asked for or can't be read yet.
    `answers`, `ratings`, `undone` and `aside` were appended.
    """

    traces: int
    unfinished: int
    answers: int
    scores: int
    elsewhere: int
    ratings: int
    undone: int
    aside: int


def pull_scores(
    project: LangfuseProject,
    filters: Filters,
    candidate_sets: Journal[CandidateSet],
    ratings: Journal[Rating],
    aside: Journal[SetAside],
    *,
    scales: Mapping[str, Meaning] | None = None,
    unnamed: str = "person:langfuse",
) -> Pulled:
    """Read traces and scores; append what is new to the journals.

    `scales` says how scores of a name are to be read; without it the server's
    score configs count, then common sense (see `scores.read` and `guess`).
    `unnamed` is the rater of scores that came by the API and name no one: set
    it to `rule:NAME` or `model:NAME` where a program wrote them.
    Raises ServerError where the server refuses or can't be reached; journals
    then hold what they held, and pulling again goes on.
    """
    traces = Traces(project.id, candidate_sets)
    for trace in project.traces(filters):
        traces.add(trace)
    scores = list(project.scores(filters))
    judgements = _Judgements(project, ratings, traces, scales or {}, unnamed)
    judgements.add(scores)
    judgements.undo_deleted()
    if new_sets := traces.new_sets():
        candidate_sets.append(*new_sets)
    if judgements.new:
        ratings.append(*judgements.new)
    undone = sum(rating.kind == "undo" for rating in judgements.new)
    return Pulled(
        traces=len(traces.roots),
        unfinished=traces.unfinished,
        answers=traces.new_answers,
        scores=len(scores),
        elsewhere=judgements.elsewhere,
        ratings=len(judgements.new) - undone,
        undone=undone,
        aside=set_aside(aside, [*traces.aside, *judgements.aside]),
    )


class _Judgements:
    """Ratings from scores: what is new beside the journal's."""

    def __init__(
        self,
        project: LangfuseProject,
        journal: Iterable[Rating],
        traces: Traces,
        scales: Mapping[str, Meaning],
        unnamed: str,
    ) -> None:
        self._project = project
        self._traces = traces
        self._scales = scales
        self._unnamed = unnamed
        self._ids: set[str] = set()
        self._versions: dict[str, int] = defaultdict(int)
        self._prefix = f"{DOOR}-{project.id}-"
        known = list(journal)
        for rating in known:
            self._ids.add(rating.id)
            if rating.id.startswith(self._prefix):
                self._versions[self._score(rating)] += 1
        self._standing: dict[str, list[Rating]] = defaultdict(list)
        for rating in not_undone(known):
            if rating.id.startswith(self._prefix):
                self._standing[self._score(rating)].append(rating)
        self._seen: set[str] = set()
        self.new: list[Rating] = []
        self.aside: list[SetAside] = []
        self.elsewhere = 0

    def add(self, scores: list[Score]) -> None:
        """Read scores; shares of one ranking are read together."""
        configs = self._project.score_configs() if any(s.config for s in scores) else {}
        guessed = _guesses(scores)
        rankings: dict[str, list[tuple[Score, str, str]]] = defaultdict(list)
        for score in scores:
            self._seen.add(score.id)
            try:
                answer = self._answer(score)
                if answer is None:
                    self.elsewhere += 1
                elif is_share(score):
                    rankings[str(score.metadata[RATING])].append((score, *answer))
                else:
                    meaning = (
                        self._scales.get(score.name)
                        or configs.get(score.config)
                        or guessed.get(score.name)
                    )
                    self._add_mark(score, *answer, read(score, meaning))
            except ValueError as error:
                self._set_aside(score, str(error))
        for id, shares in rankings.items():
            self._add_ranking(id, shares)

    def undo_deleted(self) -> None:
        """Take back the ratings whose score is gone while its trace is still there.

        A server that only forgets old data deletes both, which takes nothing back.
        """
        traces = set(self._traces.roots)
        missing = [
            id
            for id, versions in self._standing.items()
            if id not in self._seen and "," not in id and traces.intersection(versions[-1].traces)
        ]
        there = {score.id for score in self._project.scores_by_id(missing)}
        for id in missing:
            if id not in there:
                self._undo(id)

    def _answer(self, score: Score) -> tuple[str, str] | None:
        if score.kind not in ("trace", "observation"):
            raise ValueError(f"it judges a whole {score.kind or 'unknown thing'}, not an answer")
        answer = self._traces.answer(score.trace)
        if answer and score.kind == "observation":
            root = self._traces.roots.get(score.trace)
            if root != score.subject:
                raise ValueError(f"it judges a step of trace {score.trace}, not its answer")
        return answer

    def _add_mark(self, score: Score, candidate_set: str, completion: str, said: Judgement) -> None:
        """The rating of a score on one answer, unless it is known as it stands."""
        ours = score.metadata.get(RATING)
        if isinstance(ours, str):
            if ours in self._ids:
                return
            id, at = ours, score.at
            self._ids.add(ours)
        else:
            if score.id in self._standing:
                known = self._standing[score.id][-1]
                if said == Judgement(known.kind, known.value, known.text, known.comment):
                    return
                if (known.kind, known.rater) != (said.kind, rater_of(score, self._unnamed)):
                    self._undo(score.id)
            id, at = self._next_id(score.id), score.updated
        seconds = score.metadata.get("seconds") if isinstance(ours, str) else None
        self.new.append(
            Rating(
                id=id,
                kind=said.kind,
                candidate_set=candidate_set,
                shown=(completion,),
                rater=rater_of(score, self._unnamed),
                door=DOOR,
                at=at.isoformat(timespec="milliseconds"),
                value=said.value,
                text=said.text,
                comment=said.comment,
                seconds=float(seconds) if isinstance(seconds, int | float) else None,
                traces=(score.trace,),
            )
        )

    def _add_ranking(self, id: str, shares: list[tuple[Score, str, str]]) -> None:
        """The ranking whose parts are `shares`, once all of them can be read."""
        if id in self._ids:
            return
        placed = sorted(shares, key=lambda share: _number(share[0], "position"))
        first = placed[0][0]
        ranked = [share for share in placed if share[0].name != BOTH_BAD]
        if len(ranked) < _number(first, "ranked") or len({s for _, s, _ in placed}) > 1:
            self.elsewhere += len(shares)
            return
        groups: dict[float, list[str]] = defaultdict(list)
        for score, _, completion in ranked:
            groups[float(score.value)].append(completion)
        traces = {completion: score.trace for score, _, completion in placed}
        self._ids.add(id)
        self.new.append(
            Rating(
                id=id,
                kind="pairwise" if first.metadata["kind"] == "pairwise" else "ranking",
                candidate_set=placed[0][1],
                shown=tuple(traces),
                rater=rater_of(first, self._unnamed),
                door=DOOR,
                at=first.at.isoformat(timespec="milliseconds"),
                ranking=tuple(tuple(groups[value]) for value in sorted(groups, reverse=True)),
                both_bad=len(ranked) < len(placed),
                comment=first.comment,
                traces=tuple(traces.values()),
            )
        )

    def _undo(self, score: str) -> None:
        """Take back every version of a score's rating: a later one does not undo an earlier."""
        for known in self._standing[score]:
            undo = replace(
                known,
                id=self._next_id(score),
                kind="undo",
                at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                value=None,
                text=None,
                comment="",
                undoes=known.id,
            )
            self.new.append(undo)

    def _score(self, rating: Rating) -> str:
        """The score that a rating was read from: its id is between the project and a number."""
        return rating.id.removeprefix(self._prefix).rpartition("-")[0]

    def _next_id(self, score: str) -> str:
        number = self._versions[score]
        self._versions[score] += 1
        return f"{self._prefix}{score}-{number}"

    def _set_aside(self, score: Score, reason: str) -> None:
        content = f"{score.data_type} {score.name} = {score.value} {score.comment}"[:2000]
        self.aside.append(SetAside(f"langfuse: score {score.id}", reason, content))


def _guesses(scores: Iterable[Score]) -> dict[str, Meaning]:
    values = defaultdict(list)
    for score in scores:
        if score.data_type == "NUMERIC" and isinstance(score.value, float):
            values[score.name].append(score.value)
    return {name: found for name, seen in values.items() if (found := guess(seen))}


def _number(score: Score, key: str) -> float:
    value = score.metadata.get(key)
    return float(value) if isinstance(value, int | float) else 0.0
