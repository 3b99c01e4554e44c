"""Small records for tests: answers, candidate sets, ratings and preferences made by hand."""

from __future__ import annotations

from workbench.records import (
    CandidateSet,
    Completion,
    Message,
    Preference,
    Prompt,
    Rating,
    RatingKind,
    Sampling,
    Timing,
    Usage,
    content_id,
)

STRANGE_TEXTS = {
    "Russian": "Свет рассеивается: синий — сильнее. «Ёлки», 7 °C, №\u00a05.",
    "emoji": "👩🏽‍🚀 lands 🇺🇳; ☔️ + 🏳️‍🌈 = 😀",
    "right to left": "السماء زرقاء (abc) — שמיים 123",
    "combining": "e\u0301 q\u0307\u0323 Z͑ͫ̓ͪ̂ͫ̽͏̴̙ͅa̴͖l͞g̡o",
    "control": "tab\tnull\x00bell\x07 nel\x85 separator\u2028end",
    "line ends": "one\r\ntwo\rthree\n",
    "200 kB": "слово word 言葉 " * 9_000,
    "one long word": "x" * 200_000,
    "blank": " \n\t ",
    "empty": "",
}
"""Answers that every door, page and file must take as they are."""


def prompt(text: str, *, topic: str = "", system: str = "", language: str = "en") -> Prompt:
    turns = (Message("system", system),) if system else ()
    messages = (*turns, Message("user", text))
    return Prompt(content_id(text, topic, system), messages, topic, language)


def completion(text: str, id: str = "", *, adapter: str | None = None, seed: int = 0) -> Completion:
    return Completion(
        id=id or content_id(text, adapter, seed),
        text=text,
        token_ids=tuple(range(len(text.split()))),
        finish_reason="stop",
        usage=Usage(12, len(text.split())),
        timing=Timing(0.1, 0.2),
        backend="llama.cpp",
        model="f" * 64,
        sampling=Sampling(seed=seed),
        adapter=adapter,
    )


def candidate_set(id: str, *texts: str, question: str = "", topic: str = "") -> CandidateSet:
    """Completions have the ids a, b, c, ... in the order of `texts`."""
    completions = tuple(completion(text, "abcdefgh"[i]) for i, text in enumerate(texts))
    return CandidateSet(id, prompt(question or f"Question of {id}?", topic=topic), completions)


def rating(
    candidate_set: str,
    ranking: str = "",
    *,
    kind: RatingKind = "ranking",
    shown: str = "",
    rater: str = "person:anna",
    at: str = "2026-01-01T10:00:00Z",
    id: str = "",
    value: int | None = None,
    text: str | None = None,
    undoes: str | None = None,
    both_bad: bool = False,
) -> Rating:
    """`ranking` is "a>bc>d": groups from best to worst, answers named by one letter."""
    groups = tuple(tuple(group) for group in ranking.split(">") if group)
    shown_ids = tuple(shown) or tuple(id for group in groups for id in group)
    fields = (candidate_set, groups, kind, shown_ids, rater, at, value, text, undoes)
    return Rating(
        id=id or content_id(*fields),
        kind=kind,
        candidate_set=candidate_set,
        shown=shown_ids,
        rater=rater,
        door="script",
        at=at,
        ranking=groups,
        both_bad=both_bad,
        value=value,
        text=text,
        undoes=undoes,
    )


def preference(
    question: str,
    chosen: str,
    rejected: str,
    *,
    topic: str = "",
    system: str = "",
    language: str = "en",
    raters: tuple[str, ...] = ("person:anna",),
) -> Preference:
    asked = prompt(question, topic=topic, system=system, language=language)
    better, worse = completion(chosen), completion(rejected)
    id = content_id(asked.id, better.id, worse.id, raters)
    return Preference(id, asked, better, worse, (f"rating-{id}",), raters)
