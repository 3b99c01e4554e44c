"""Scores as ratings: what is new beside a journal's ratings, and what they take back.

A score on one answer is a rating of its own, under an id made from the project, the
score and a number. Scores that a workbench sent are parts of its rating, which keeps
its id; the parts of a ranking are read together once all of them are there. Knows
the server only to ask for score configs and for scores that are missing.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from workbench.exchange.langfuse_project import LangfuseProject
from workbench.exchange.langfuse_records import Score
from workbench.exchange.langfuse_traces import Traces
from workbench.exchange.scores import (
    BOTH_BAD,
    COMPLETION,
    DOOR,
    RATING,
    SCORES,
    SHOWN,
    TRACES,
    Judgement,
    Meaning,
    fits,
    guess,
    is_share,
    rater_of,
    read,
)
from workbench.ratings import not_undone, when
from workbench.records import Rating, SetAside


class Judgements:
    """Ratings from scores: what is new beside the journal's, and what was set aside."""

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
        """Read scores; those of one ranking are read together."""
        configs = self._project.score_configs() if any(s.config for s in scores) else {}
        numbers = _numbers(scores)
        rankings: dict[str, list[tuple[Score, str]]] = defaultdict(list)
        for score in scores:
            self._seen.add(score.id)
            try:
                answer = self._answer(score)
            except ValueError as error:
                self._set_aside(score, str(error))
                continue
            if answer is None:
                self.elsewhere += 1
                continue
            if is_share(score):
                rankings[str(score.metadata[RATING])].append((score, answer[1]))
                continue
            seen = numbers.get(score.name, set())
            meaning = self._scales.get(score.name) or configs.get(score.config) or guess(seen)
            try:
                said = read(score, meaning)
            except ValueError as error:
                self._add_unreadable(score, str(error), seen)
            else:
                self._add_mark(score, *answer, said)
        for id, shares in rankings.items():
            try:
                self._add_ranking(id, shares)
            except ValueError as error:
                for score, _ in shares:
                    self._set_aside(score, str(error))

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
        """Candidate set and completion that a score judges; None where they are not known here."""
        if score.kind not in ("trace", "observation"):
            raise ValueError(f"it judges a whole {score.kind or 'unknown thing'}, not an answer")
        if score.kind == "observation":
            root = self._traces.roots.get(score.trace)
            if root is None:
                return None
            if root != score.subject:
                raise ValueError(f"it judges a step of trace {score.trace}, not its answer")
        named = score.metadata.get(COMPLETION)
        return self._traces.answer(score.trace, named if isinstance(named, str) else None)

    def _add_unreadable(self, score: Score, reason: str, seen: set[float]) -> None:
        """Set a score aside and take back what it was once read as, where that is wrong by now.

        It is where the score was edited, and where it was guessed from numbers that
        `seen`, those of its name, belie. Else the earlier reading stays.
        """
        if known := self._standing.get(score.id):
            edited = known[-1].at != _at(score.updated)
            guessed = known[-1].value == score.value
            if not edited and not (guessed and not fits(known[-1].kind, seen)):
                return
            self._undo(score.id)
        self._set_aside(score, reason)

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
        self.new.append(
            Rating(
                id=id,
                kind=said.kind,
                candidate_set=candidate_set,
                shown=(completion,),
                rater=rater_of(score, self._unnamed),
                door=DOOR,
                at=_at(at),
                value=said.value,
                text=said.text,
                comment=said.comment,
                seconds=_seconds(score) if isinstance(ours, str) else None,
                confidence=_confidence(score) if isinstance(ours, str) else None,
                traces=(score.trace,),
            )
        )

    def _add_ranking(self, id: str, shares: list[tuple[Score, str]]) -> None:
        """The ranking whose scores are `shares`, once all of them are there.

        Raises ValueError, with the reason, where they are no ranking.
        """
        if id in self._ids:
            return
        first = shares[0][0]
        parts = {(score.name == BOTH_BAD, completion): score for score, completion in shares}
        count = _number(first, SCORES)
        if count is None or len(parts) > count:
            raise ValueError(f"rating {id[:50]!r} does not have as many scores as it says")
        shown = self._shown(first)
        if shown is None or len(parts) < count:
            self.elsewhere += len(shares)
            return
        candidate_set, traces = shown
        groups: dict[float, list[str]] = defaultdict(list)
        for completion in traces:
            if share := parts.get((False, completion)):
                groups[_share(share)].append(completion)
        both_bad = any(bad for bad, _ in parts)
        if not both_bad and sum(map(len, groups.values())) < 2:
            raise ValueError("fewer than two of the answers that it ranks have a trace")
        self._ids.add(id)
        self.new.append(
            Rating(
                id=id,
                kind="pairwise" if first.metadata["kind"] == "pairwise" else "ranking",
                candidate_set=candidate_set,
                shown=tuple(traces),
                rater=rater_of(first, self._unnamed),
                door=DOOR,
                at=_at(first.at),
                ranking=tuple(tuple(groups[value]) for value in sorted(groups, reverse=True)),
                both_bad=both_bad,
                comment=first.comment,
                seconds=_seconds(first),
                confidence=_confidence(first),
                traces=tuple(traces.values()),
            )
        )

    def _shown(self, score: Score) -> tuple[str, dict[str, str]] | None:
        """Candidate set and, in the order shown, completions with their traces.

        None where one of them is not known here.
        """
        names, traces = _texts(score, SHOWN), _texts(score, TRACES)
        if len(names) != len(traces) or not names:
            raise ValueError("it does not say which answers were shown on which traces")
        answers = [self._traces.answer(*pair) for pair in zip(traces, names, strict=True)]
        known = [answer for answer in answers if answer is not None]
        if len(known) < len(answers):
            return None
        if len({candidate_set for candidate_set, _ in known}) > 1:
            raise ValueError("its answers belong to different questions here")
        completions = (completion for _, completion in known)
        return known[0][0], dict(zip(completions, traces, strict=True))

    def _undo(self, score: str) -> None:
        """Take back every version of a score's rating: a later one does not undo an earlier.

        A rating has the server's time, and our clock may be behind it: an undo never
        comes before what it takes back.
        """
        for known in self._standing[score]:
            undo = replace(
                known,
                id=self._next_id(score),
                kind="undo",
                at=_at(max(datetime.now(UTC), when(known))),
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


def _numbers(scores: Iterable[Score]) -> dict[str, set[float]]:
    """The numbers of each score name."""
    found: dict[str, set[float]] = defaultdict(set)
    for score in scores:
        if score.data_type == "NUMERIC" and isinstance(score.value, float):
            found[score.name].add(score.value)
    return found


def _at(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _share(score: Score) -> float:
    """The part of the other answers that one beats."""
    if not isinstance(score.value, float) or not 0 <= score.value <= 1:
        raise ValueError(f"{str(score.value)[:50]!r} is no share of a ranking")
    return score.value


def _seconds(score: Score) -> float | None:
    seconds = _number(score, "seconds")
    return seconds if seconds is not None and 0 <= seconds < math.inf else None


def _confidence(score: Score) -> int | None:
    confidence = _number(score, "confidence")
    return int(confidence) if confidence in (1, 2, 3, 4, 5) else None


def _number(score: Score, key: str) -> float | None:
    value = _value(score, key)
    return float(value) if isinstance(value, int | float) else None


def _texts(score: Score, key: str) -> list[str]:
    values = _value(score, key)
    return [str(value) for value in values] if isinstance(values, list) else []


def _value(score: Score, key: str) -> Any:
    """A value of a score's metadata, which a server may keep as JSON text."""
    value = score.metadata.get(key)
    try:
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return None
