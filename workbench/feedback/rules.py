"""Rules that judge by a stated measure, for runs without a person.

A rule is a sentence that anyone can check and a function that does so. It is no
stand-in for taste: whatever it judged is recorded as `rule:NAME`, and says so in
every report. Knows nothing about models; word counts assume a language that
puts spaces between words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from workbench.errors import InputError, SettingsError
from workbench.feedback.presentation import shuffled, traces
from workbench.records import CandidateSet, Rating, content_id


@dataclass(frozen=True)
class Rule:
    """A stated way to judge. Lower `measure` is better; differences below `margin` are ties."""

    name: str
    statement: str
    measure: Callable[[str], float]
    margin: float


_WORD = re.compile(r"\w+(?:[-'’.,:]\w+)*")
_OPENING = re.compile(r"(?:[#>*_`\-+\s]|\d+[.)]\s)+")
_END = re.compile(r"[.!?…]+[\"'»”’)\]*_`]*(?=\s|$)|\n")
_TITLES = {"mr", "mrs", "ms", "dr", "prof", "st", "им", "ул", "проф", "акад"}


def first_sentence(text: str) -> str:
    """The first sentence of an answer, without Markdown's opening marks.

    It ends at `.`, `!`, `?` or `…` before a space, or at a line break. A full
    stop before a lower-case letter ("e.g. the", "т. е. когда"), after an initial
    ("А. С. Пушкин") or after a title ("Dr. Who", "ул. Мира") does not end it.
    """
    opening = _OPENING.match(text)
    text = text[opening.end() if opening else 0 :].rstrip()
    for end in _END.finditer(text):
        if not _is_abbreviation(text, end):
            return text[: end.end()].rstrip()
    return text


def _is_abbreviation(text: str, end: re.Match[str]) -> bool:
    if not end.group().startswith(".") or end.group().startswith(".."):
        return False
    before = re.split(r"[\s(«\"“.]", text[: end.start()])[-1]
    after = text[end.end() :].lstrip(" ")
    initial = len(before) == 1 and before.isupper()
    return bool(after) and (after[0].islower() or initial or before.lower() in _TITLES)


def _words(text: str) -> float:
    """Number of words; an answer without any is worse than every other."""
    return float(len(_WORD.findall(text))) or math.inf


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            name="short-first-sentence",
            statement="The answer whose first sentence has fewer words is better; "
            "less than 3 words apart is a tie.",
            measure=lambda text: _words(first_sentence(text)),
            margin=3,
        ),
        Rule(
            name="shorter",
            statement="The answer with fewer words is better; less than 5 words apart is a tie.",
            measure=_words,
            margin=5,
        ),
    )
}


def judge(
    candidate_set: CandidateSet,
    rule: str,
    *,
    seed: int,
    margin: float | None = None,
    at: str | None = None,
) -> Rating:
    """Rank a set's answers by the rule of that name.

    `margin` replaces the rule's own. `at` (ISO 8601, UTC) defaults to now; the
    rating's id follows from who judged what and how, not from the time, so that
    a repeated run gives the same ids. Raises SettingsError for an unknown rule
    and InputError for a set of fewer than two answers.
    """
    if rule not in RULES:
        raise SettingsError(f"There is no rule {rule!r}", f"Use one of {', '.join(RULES)}")
    if len(candidate_set.completions) < 2:
        raise InputError(
            f"Candidate set {candidate_set.id} has fewer than two answers", "Sample more candidates"
        )
    rater = f"rule:{rule}"
    shown = shuffled((c.id for c in candidate_set.completions), seed, rater, candidate_set.id)
    values = [RULES[rule].measure(candidate_set.completion(id).text) for id in shown]
    ranking = _grouped(shown, values, RULES[rule].margin if margin is None else margin)
    return Rating(
        id=content_id("ranking", rater, candidate_set.id, shown, ranking),
        kind="ranking",
        candidate_set=candidate_set.id,
        shown=shown,
        rater=rater,
        door="script",
        at=at or datetime.now(UTC).isoformat(timespec="milliseconds"),
        ranking=ranking,
        traces=traces(candidate_set, shown),
    )


def _grouped(
    ids: Sequence[str], values: Sequence[float], margin: float
) -> tuple[tuple[str, ...], ...]:
    """Ids from lowest value to highest, neighbours closer than `margin` in one group.

    Any two ids of different groups are therefore at least `margin` apart; within
    a long chain of near neighbours the ends may be further apart and still tie.
    """
    groups: list[list[str]] = []
    last = -math.inf
    for value, id in sorted(zip(values, ids, strict=True), key=lambda pair: pair[0]):
        if groups and (value == last or value - last < margin):
            groups[-1].append(id)
        else:
            groups.append([id])
        last = value
    return tuple(tuple(group) for group in groups)
