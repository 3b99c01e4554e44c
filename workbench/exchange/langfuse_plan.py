"""What a delivery to Langfuse has to do, by the journal of ratings and the ledger.

The ledger has a line for each step of a score; the last line of a score is where it
stands in a project, and lines of other projects say nothing about it. A line that
names no project was written by an earlier Workbench and may be of any: what it says
was sent is sent once more, under the same id, which doubles nothing. This module asks
no server and writes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from workbench import ratings as judged
from workbench.exchange.langfuse_records import NewScore
from workbench.exchange.scores import DOOR, again, scores_of, traces_of
from workbench.records import CandidateSet, Rating, SetAside

State = Literal["sending", "sent", "rejected", "refused", "withdrawing", "withdrawn"]


@dataclass(frozen=True)
class Handover:
    """A line of the ledger: what became of a rating's score, and when (ISO 8601, UTC).

    "rejected": the server did not take it and did not say whether it ever will; "refused":
    it never will. "withdrawing": its deletion was asked for; "withdrawn": the server does
    not show it. `project` is the id of the Langfuse project.
    """

    score: str
    rating: str
    state: State
    at: str
    reason: str = ""
    project: str = ""

    @property
    def age_s(self) -> float:
        """Seconds since it was written."""
        return (datetime.now(UTC) - datetime.fromisoformat(self.at)).total_seconds()


@dataclass(frozen=True)
class Outgoing:
    """A score to send, the rating that it is of, and how it was rejected so far."""

    score: NewScore
    rating: str
    rejections: tuple[Handover, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What a delivery has to do, and what it leaves."""

    to_send: list[Outgoing]
    to_withdraw: list[Handover]
    refused: list[SetAside]
    unfit: tuple[SetAside, ...]
    without_trace: int


def plan_of(
    ratings: Iterable[Rating],
    candidate_sets: Iterable[CandidateSet],
    ledger: Iterable[Handover],
    project: str,
) -> Plan:
    """What a project lacks and what it has too much, by the ledger.

    Where it is not known which project it is (""), it may lack everything.
    """
    sets = {candidate_set.id: candidate_set for candidate_set in candidate_sets}
    ratings = list(ratings)
    checked = judged.check(ratings, sets.values())
    last: dict[str, Handover] = {}
    rejections: dict[str, list[Handover]] = defaultdict(list)
    taken_back: set[str] = set()
    for line in ledger:
        if project and line.project not in (project, ""):
            continue
        last[line.score] = line
        if line.state == "rejected":
            rejections[line.score].append(line)
        if line.state in ("withdrawing", "withdrawn"):
            taken_back.add(line.score)
    wanted: dict[str, Outgoing] = {}
    without_trace = 0
    for rating in judged.standing(checked.good):
        if rating.kind == "skip" or rating.door == DOOR:
            continue
        scores = scores_of(rating, traces_of(rating, sets[rating.candidate_set]))
        without_trace += not scores
        for score in scores:
            id = again(score.id, taken_back)
            wanted[id] = Outgoing(
                score if id == score.id else replace(score, id=id),
                rating.id,
                tuple(rejections.get(id, ())),
            )
    known = {
        id: line
        for id, line in last.items()
        if project and line.project == project and line.state in ("sent", "refused")
    }
    kept = _standing(ratings)
    return Plan(
        [outgoing for id, outgoing in wanted.items() if id not in known],
        [
            line
            for id, line in last.items()
            if id not in wanted
            and (
                line.state == "withdrawing"
                or (line.state in ("sending", "sent", "rejected") and line.rating not in kept)
            )
        ],
        [refused_as(known[id]) for id in wanted if id in known and known[id].state == "refused"],
        checked.aside,
        without_trace,
    )


def _standing(ratings: Iterable[Rating]) -> set[str]:
    """Ids of the ratings that nobody took back or replaced, whether or not their sets are known.

    A rating that can't be judged here stands too: its scores are not ours to delete.
    """
    readable, unreadable = [], set()
    for rating in ratings:
        try:
            judged.when(rating)
        except ValueError:
            unreadable.add(rating.id)
        else:
            readable.append(rating)
    return unreadable | {rating.id for rating in judged.standing(readable)}


def refused_as(line: Handover) -> SetAside:
    """The refusal or rejection that a line of the ledger states."""
    return SetAside(f"langfuse: score {line.score}", line.reason, f"rating {line.rating}")
