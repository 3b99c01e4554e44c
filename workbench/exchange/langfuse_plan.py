"""What a delivery to Langfuse has to do, by the journal of ratings and the ledger.

The ledger has a line for each step of a score; the last line of a score is where it
stands. This module asks no server and writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from workbench import ratings as judged
from workbench.exchange.langfuse_records import NewScore
from workbench.exchange.scores import DOOR, again, scores_of, traces_of
from workbench.journal import Journal
from workbench.records import CandidateSet, Rating, SetAside

State = Literal["sending", "sent", "refused", "withdrawing", "withdrawn"]


@dataclass(frozen=True)
class Handover:
    """A line of the ledger: what became of a rating's score, and when (ISO 8601, UTC).

    "withdrawing": its deletion was asked for; "withdrawn": the server does not show it.
    """

    score: str
    rating: str
    state: State
    at: str
    reason: str = ""


@dataclass(frozen=True)
class Outgoing:
    """A score to send, and the rating that it is of."""

    score: NewScore
    rating: str


@dataclass(frozen=True)
class Plan:
    """What a delivery has to do, and what it leaves."""

    to_send: list[Outgoing]
    to_withdraw: list[Handover]
    refused: list[SetAside]
    unfit: tuple[SetAside, ...]
    without_trace: int


def plan_of(
    ratings: Iterable[Rating], candidate_sets: Iterable[CandidateSet], ledger: Journal[Handover]
) -> Plan:
    """What the server lacks and what it has too much, by the ledger."""
    sets = {candidate_set.id: candidate_set for candidate_set in candidate_sets}
    ratings = list(ratings)
    checked = judged.check(ratings, sets.values())
    last: dict[str, Handover] = {}
    taken_back: set[str] = set()
    for line in ledger:
        last[line.score] = line
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
            wanted[id] = Outgoing(score if id == score.id else replace(score, id=id), rating.id)
    known = {id for id, line in last.items() if line.state in ("sent", "refused")}
    kept = _standing(ratings)
    return Plan(
        [outgoing for id, outgoing in wanted.items() if id not in known],
        [
            line
            for id, line in last.items()
            if id not in wanted
            and (
                line.state == "withdrawing"
                or (line.state in ("sending", "sent") and line.rating not in kept)
            )
        ],
        [refused_as(line) for id, line in last.items() if line.state == "refused" and id in wanted],
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
    """The refusal that a line of the ledger states."""
    return SetAside(f"langfuse: score {line.score}", line.reason, f"rating {line.rating}")
