"""What a rating is as Langfuse scores, and what a score of someone else's is as a rating.

A rating becomes scores on the traces of the answers it judges:

    thumbs              BOOLEAN      thumbs      0 or 1
    stars               NUMERIC      stars       1 to 5
    pairwise, ranking   NUMERIC      preference  share of the other answers it beats, a tie half
    both bad            CATEGORICAL  both-bad    both_bad
    correction          CORRECTION   output      the answer as it should have been
    comment             TEXT         comment     its first 500 characters; the whole as `comment`

The comment of any other kind goes with each of its scores. The metadata holds
what scores have no field for, so that whoever reads all scores of a rating has
it whole: which answers were shown and on which traces, in their order, how many
scores there are, seconds and confidence. Skips, undos and repeats become nothing.

A score's id is made from the rating and not from what is rated: Langfuse deletes
later than it says, so that an id which was deleted must never come back, and
"rate, undo, rate again" would use it twice. A change of mind is therefore a new
score and the old one's deletion.

This module knows nothing about servers, journals or when a rating counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from workbench.errors import InputError
from workbench.exchange.langfuse_records import DataType, NewScore, Score, ScoreConfig
from workbench.ratings import ORDERS
from workbench.records import CandidateSet, Rating, RatingKind, content_id

LONGEST_TEXT = 500
"""UTF-16 units that Langfuse takes as the value of a TEXT score."""
DOOR = "langfuse"
"""The door of ratings that were read from scores; they are never sent back."""
RATING = "workbench_rating"
"""Key of a score's metadata: the id of the rating that it was made from."""
COMPLETION = "completion"
"""Key of a score's metadata: which answer of its trace it judges."""
SCORES, SHOWN, TRACES = "scores", "shown", "traces"
"""Keys of our scores' metadata: how many the rating has, the answers shown, their traces."""
PREFERENCE, BOTH_BAD = "preference", "both-bad"
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
_SCALE = re.compile(rf"({_NUMBER})\s*\.\.\s*({_NUMBER})")
_RATER = re.compile(r"(person|model|rule):\S[^\n]{0,99}")
_NUMBERS = {"thumbs": {0.0, 1.0}, "stars": {1.0, 2.0, 3.0, 4.0, 5.0}}
_GOOD = {"good", "up", "positive", "yes", "correct", "like", "liked", "pass", "true", "👍"}
_BAD = {"bad", "down", "negative", "no", "incorrect", "dislike", "disliked", "fail", "false", "👎"}


@dataclass(frozen=True)
class Scale:
    """A number from `low` (worst) to `high` (best); read as 1 to 5 stars, to the nearest."""

    low: float
    high: float


@dataclass(frozen=True)
class Labels:
    """What the labels of a CATEGORICAL score mean: 1 is good, 0 is bad; any other is refused.

    For `scales` of `pull_scores`; `meanings`, and so the command line, can't write it.
    """

    meaning: Mapping[str, Literal[0, 1]]


Meaning = Scale | Labels | Literal["thumbs", "stars"]
"""How the scores of one name are to be read."""


def meanings(texts: Iterable[str]) -> dict[str, Meaning]:
    """How the scores of each name are to be read, from texts such as "quality=0..10".

    After a name stands thumbs, stars, or a scale from worst to best in plain decimals; a
    blank text says nothing. Raises InputError for anything else, and for a name given twice.
    """
    found: dict[str, Meaning] = {}
    for name, meaning in (_meaning(text) for text in texts if text.strip()):
        if name in found:
            raise InputError(f"It is said twice how {name!r} is to be read", "Say it once")
        found[name] = meaning
    return found


def _meaning(text: str) -> tuple[str, Meaning]:
    name, _, how = map(str.strip, text.partition("="))
    if name and how == "thumbs":
        return name, "thumbs"
    if name and how == "stars":
        return name, "stars"
    bounds = _SCALE.fullmatch(how)
    scale = Scale(*map(float, bounds.groups())) if bounds else Scale(math.nan, math.nan)
    if not name or not -math.inf < scale.low < scale.high < math.inf:
        raise InputError(
            f"{text.strip()!r} does not say how scores are to be read",
            "Write NAME=thumbs, NAME=stars or a scale from worst to best such as NAME=0..10",
        )
    return name, scale


@dataclass(frozen=True)
class Judgement:
    """What a score says, as the fields of a rating."""

    kind: RatingKind
    value: int | None = None
    text: str | None = None
    comment: str = ""


# --- ratings as scores ----------------------------------------------------


def scores_of(rating: Rating, traces: Mapping[str, str]) -> list[NewScore]:
    """The scores that say what `rating` says; `traces` holds the trace of each completion.

    An answer without a trace gets none. Answers that were drawn together share a trace:
    a score's metadata names the answer. The rating must have passed `ratings.check`.
    """
    said = [statement for statement in _statements(rating) if traces.get(statement[0])]
    shown = [completion for completion in rating.shown if traces.get(completion)]
    about: dict[str, Any] = {
        RATING: rating.id,
        "kind": rating.kind,
        "rater": rating.rater,
        "door": rating.door,
        SCORES: len(said),
        SHOWN: shown,
        TRACES: [traces[completion] for completion in shown],
        "seconds": rating.seconds,
        "confidence": rating.confidence,
    }
    found = []
    for completion, name, data_type, value in said:
        trace = traces[completion]
        id = content_id("score", rating.rater, rating.id, trace, completion, name, length=32)
        metadata = {**about, COMPLETION: completion, "position": shown.index(completion) + 1}
        found.append(_score(rating, id, trace, name, data_type, value, metadata))
    return found


def traces_of(rating: Rating, candidate_set: CandidateSet) -> dict[str, str]:
    """The trace of each shown answer: as the rating says, else as its completion does."""
    if rating.traces:
        return dict(zip(rating.shown, rating.traces, strict=False))
    return {c.id: c.trace_id or "" for c in candidate_set.completions}


def again(id: str, used: Iterable[str]) -> str:
    """`id`, or the first one made from it that is not among `used`: those were deleted."""
    used = set(used)
    name, times = id, 0
    while name in used:
        times += 1
        name = content_id(id, times, length=32)
    return name


def shares(ranking: Iterable[Iterable[str]]) -> dict[str, float]:
    """For each ranked answer the share of the others that it beats, ties counted half."""
    groups = [tuple(group) for group in ranking]
    behind = sum(map(len, groups))
    others = behind - 1
    found = {}
    for group in groups:
        behind -= len(group)
        found.update(dict.fromkeys(group, (behind + (len(group) - 1) / 2) / max(others, 1)))
    return found


def _statements(rating: Rating) -> Iterable[tuple[str, str, DataType, float | str]]:
    """What a rating says of each completion: its id, the score's name, type and value."""
    if rating.kind in ORDERS:
        for completion, share in shares(rating.ranking).items():
            yield completion, PREFERENCE, "NUMERIC", share
        if rating.both_bad:
            for completion in rating.shown:
                yield completion, BOTH_BAD, "CATEGORICAL", "both_bad"
        return
    shown = rating.shown[0]
    if rating.kind == "thumbs" and rating.value is not None:
        yield shown, "thumbs", "BOOLEAN", float(rating.value)
    elif rating.kind == "stars" and rating.value is not None:
        yield shown, "stars", "NUMERIC", float(rating.value)
    elif rating.kind == "correction" and rating.text is not None:
        yield shown, "output", "CORRECTION", rating.text
    elif rating.kind == "comment":
        yield shown, "comment", "TEXT", _head(rating.comment.strip())


def _score(
    rating: Rating,
    id: str,
    trace: str,
    name: str,
    data_type: DataType,
    value: float | str,
    metadata: Mapping[str, Any],
) -> NewScore:
    said_by_value = data_type == "TEXT" and value == rating.comment
    return NewScore(
        id=id,
        trace=trace,
        name=name,
        data_type=data_type,
        value=value,
        at=_utc(rating.at),
        comment="" if said_by_value else rating.comment,
        metadata={key: known for key, known in metadata.items() if known is not None},
    )


def _head(text: str) -> str:
    """The start of `text` that a TEXT score can hold; a character is never cut in two."""
    return text.encode("utf-16-le")[: 2 * LONGEST_TEXT].decode("utf-16-le", "ignore")


def _utc(at: str) -> str:
    moment = datetime.fromisoformat(at)
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- scores as ratings ----------------------------------------------------


def is_share(score: Score) -> bool:
    """Whether it is one answer's part of a ranking that was sent from here."""
    return RATING in score.metadata and score.metadata.get("kind") in ORDERS


def read(score: Score, meaning: Meaning | ScoreConfig | None) -> Judgement:
    """What a score says. Raises ValueError, with the reason, where that can't be known.

    `meaning` is how scores of its name are read, where anyone said so.
    """
    comment = score.comment
    if score.data_type == "CORRECTION":
        return Judgement("correction", text=str(score.value), comment=comment)
    if score.data_type == "TEXT":
        return _comment(str(score.value), comment)
    if score.data_type == "BOOLEAN":
        return Judgement("thumbs", int(bool(score.value)), comment=comment)
    if isinstance(score.value, str):
        kind, value = _of_label(score.value, meaning)
    else:
        kind, value = _of_number(score.value, meaning)
    return Judgement(kind, value, comment=comment)


def guess(values: Iterable[float]) -> Literal["thumbs", "stars"] | None:
    """What the numbers of one score name are, where all of them tell.

    Only 0 and 1, and a 0 among them: thumbs, since no one gives 0 stars. Only 1 to
    5, and more than a 1: stars. Else None: a 1 is the best thumb and the worst star.
    """
    seen = set(values)
    if 0.0 in seen and fits("thumbs", seen):
        return "thumbs"
    return "stars" if seen - {1.0} and fits("stars", seen) else None


def fits(kind: str, values: Iterable[float]) -> bool:
    """Whether all numbers can be those of a thumbs or a stars rating, as they are."""
    return set(values) <= _NUMBERS.get(kind, set())


def rater_of(score: Score, unnamed: str) -> str:
    """Who gave a score; `unnamed` for one that came by the API without a rater of ours.

    Anyone who may write to the project can claim to be a rater of ours.
    """
    if score.source == "EVAL":
        return f"model:{score.name}"
    if score.author:
        return f"person:{score.author}"
    claimed = score.metadata.get("rater")
    if RATING in score.metadata and isinstance(claimed, str) and _RATER.fullmatch(claimed):
        return claimed
    return unnamed


def _comment(text: str, comment: str) -> Judgement:
    """A TEXT score; ours hold the start as value and the whole as comment."""
    whole = comment if comment.strip().startswith(text) else f"{text}\n\n{comment}".strip()
    if not whole.strip():
        raise ValueError("the text is empty")
    return Judgement("comment", comment=whole)


def _of_number(
    value: float, meaning: Meaning | ScoreConfig | None
) -> tuple[Literal["thumbs", "stars"], int]:
    if isinstance(meaning, ScoreConfig) and meaning.low is not None and meaning.high is not None:
        meaning = Scale(meaning.low, meaning.high)
    if isinstance(meaning, Scale):
        return "stars", _stars(value, meaning)
    if (meaning == "thumbs" or meaning == "stars") and fits(meaning, [value]):
        return meaning, int(value)
    raise ValueError(f"{value:g} is on no known scale; declare one for its name")


def _of_label(
    label: str, meaning: Meaning | ScoreConfig | None
) -> tuple[Literal["thumbs", "stars"], int]:
    if isinstance(meaning, Labels) and label in meaning.meaning:
        return "thumbs", meaning.meaning[label]
    if isinstance(meaning, ScoreConfig) and label in meaning.categories:
        scale = Scale(min(meaning.categories.values()), max(meaning.categories.values()))
        if scale.low < scale.high:
            number = meaning.categories[label]
            if len(meaning.categories) == 2:
                return "thumbs", int(number == scale.high)
            return "stars", _stars(number, scale)
    word = label.strip().casefold()
    if not isinstance(meaning, Labels) and word in _GOOD | _BAD:
        return "thumbs", int(word in _GOOD)
    raise ValueError(f"the label {label[:50]!r} has no known meaning; declare its labels")


def _stars(value: float, scale: Scale) -> int:
    if not scale.low <= value <= scale.high or scale.low >= scale.high:
        raise ValueError(f"{value:g} does not lie on its scale, {scale.low:g} to {scale.high:g}")
    return round(1 + 4 * (value - scale.low) / (scale.high - scale.low))
