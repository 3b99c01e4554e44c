"""Runs and judgements from Langfuse into our journals.

    pulled = pull_scores(project, Filters(tags=("pilot",)), candidates, ratings, aside, drawn=sets)

Traces become candidate sets: those whose input reads the same, and whose authors
said the same about consent, are one set, so that their scores give pairs. Scores
on them become ratings. Answers that were drawn here, and are given as `drawn`, stay
in their sets, which scores on their traces then judge. Pulling again appends
nothing; a score that was changed is a new rating, one that was deleted while its
trace stays is an undo. Ratings that another workbench sent as scores come back
whole under their own ids, as far as their answers have traces; that one of those
was taken back later is not seen.

What can't be read goes to `aside` with its reason. Not known here: how an answer
was sampled, its tokens, and whether a rater is who a score says. The first
reading of a trace stays; a later change of its text is not followed, while a
session that it is in later counts beside the first. Whoever may write to the
project can write any score.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from workbench.exchange.langfuse_project import LangfuseProject
from workbench.exchange.langfuse_ratings import Judgements
from workbench.exchange.langfuse_records import Filters, Score
from workbench.exchange.langfuse_traces import Traces
from workbench.exchange.scores import Meaning
from workbench.journal import Journal
from workbench.ratings import set_aside
from workbench.records import CandidateSet, Rating, SetAside


@dataclass(frozen=True)
class Pulled:
    """What a pull found and what of it was new.

    `traces` and `scores` were read, `unfinished` traces have not ended yet,
    `elsewhere` are scores of traces that were not asked for or can't be read yet,
    and those of a rating whose other scores can't be read yet.
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
    drawn: Iterable[CandidateSet] = (),
    scales: Mapping[str, Meaning] | None = None,
    unnamed: str = "person:langfuse",
) -> Pulled:
    """Read traces and scores; append what is new to the journals.

    `drawn` are sets that were drawn here: scores on their traces judge them, and no
    other sets are made of those traces. Check ratings against these and
    `candidate_sets` together. `scales` says how scores of a name are to be read;
    without it the server's score configs count, then common sense over the scores
    of this pull (see `scores.read` and `guess`).
    `unnamed` is the rater of scores that came by the API and name no one: set
    it to `rule:NAME` or `model:NAME` where a program wrote them. The command line
    has no option for it.
    Raises ServerError where the server refuses or can't be reached; journals
    then hold what they held, and pulling again goes on.
    """
    traces = Traces(project.id, candidate_sets, drawn)
    for trace in project.traces(filters):
        traces.add(trace)
    scores = _newest(project.scores(filters))
    judgements = Judgements(project, ratings, traces, scales or {}, unnamed)
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


def _newest(scores: Iterable[Score]) -> list[Score]:
    """Each score once, as it was written last: a server may list it by each of its timestamps."""
    found: dict[str, Score] = {}
    for score in scores:
        known = found.get(score.id)
        if known is None or (score.updated, score.at) >= (known.updated, known.at):
            found[score.id] = score
    return list(found.values())
