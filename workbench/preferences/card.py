"""The data card: what a dataset version is, for whoever finds it, as README.md.

Its head is the metadata that the Hugging Face Hub reads. Raters appear by kind
and number, never by name, and no text of the dataset is quoted. What the owner says
of agreement is quoted without the names of raters that the manifest knows: of others,
who sided with no pair, it can't know. This module reads a manifest and knows nothing
about files.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

from workbench.preferences.audit import SPLITS, Audit
from workbench.preferences.manifest import Manifest
from workbench.preferences.resolve import Rule

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_NUMBER = re.compile(r"[\d\W_]*\d[\d\W_]*|\s*")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_STRATEGIES = {
    None: "which pairs were taken is not recorded",
    "best-vs-worst": "from each rater's order, the best answer against the worst",
    "all": "every two answers that a rater told apart",
}


def card(manifest: Manifest) -> str:
    """The card of a version in Markdown; the same manifest gives the same card."""
    parts = (_metadata(manifest), *_paragraphs(manifest))
    return "\n\n".join(parts) + "\n"


def _metadata(manifest: Manifest) -> str:
    """YAML; strings are quoted as in JSON, which YAML reads alike."""
    audit = manifest.audit
    languages = [s.name for s in audit.languages if _LANGUAGE.fullmatch(s.name)]
    sides = [side for side in SPLITS if getattr(audit.pairs, side)]
    size = next((name for limit, name in _SIZES if audit.pairs.total < limit), "n>1M")
    lines = [
        f"pretty_name: {_quoted(manifest.name)}",
        f"license: {_quoted(manifest.licence or 'unknown')}",
        f"language: {_quoted(languages)}",
        f"size_categories: {_quoted([size])}",
        f"tags: {_quoted(['preference', 'dpo', 'human-feedback', 'trl'])}",
        "configs:",
        "- config_name: default",
        "  data_files:",
        *(f"  - split: {side}\n    path: {side}.jsonl" for side in sides),
    ]
    return "\n".join(["---", *lines, "---"])


def _paragraphs(manifest: Manifest) -> Iterator[str]:
    audit = manifest.audit
    yield f"# {manifest.name} {manifest.version}"
    yield (
        f"{_count(audit.pairs.total, 'pair')} of answers to the same prompt, one judged better "
        f"than the other: {audit.pairs.train} to train on, {audit.pairs.validation} for "
        f"validation, {audit.pairs.test} for testing. {_count(len(audit.topics), 'topic')}, "
        f"{_count(len(audit.languages), 'language')}.{_thumbs(audit)}"
    )
    if audit.warnings:
        yield "## Look at this first"
        yield "\n".join(f"- {warning}" for warning in audit.warnings)
    yield "## Who judged"
    yield "\n".join(_judged(manifest))
    yield "## How conflicts were resolved"
    yield _resolved(manifest.rule)
    yield "## What keeps the sides apart"
    yield (
        "Prompts are on one side if they share a topic, a question, a session, a debate or a "
        f"document, or if the words of their questions, in any order, have a Jaccard similarity "
        f"of {manifest.same_words:g} or more; also in a chain. Paraphrases in other words and "
        "translations are not recognised. The pairs have "
        f"{_count(audit.components, 'connected component')}; the largest holds "
        f"{audit.largest_component:.0%} of them. Sides are drawn by a hash (seed "
        f"{manifest.seed}), expected shares {manifest.fractions.validation:g} for validation and "
        f"{manifest.fractions.test:g} for testing."
    )
    yield "## What was left out"
    yield "\n".join(_left_out(manifest))
    yield "## Consent and personal data"
    yield "\n".join(_consent(audit))
    yield "## Length"
    yield (
        f"Chosen answers have {audit.chosen_words:.1f} words, rejected ones "
        f"{audit.rejected_words:.1f} (means). The chosen answer is the longer one in "
        f"{audit.chosen_longer:.0%} of pairs, equal lengths as half."
    )
    yield "## How to load it"
    yield (
        "```python\n"
        "import datasets\n\n"
        'rows = datasets.load_dataset("json", data_files="train.jsonl", split="train")\n'
        "```"
    )
    yield (
        "Rows are in TRL's conversational preference format (`prompt`, `chosen`, `rejected`). "
        "`workbench.preferences.load(folder)` reads the whole version, checks every hash and "
        "has ratings, raters and weights too; `workbench.preferences.export` writes other formats."
    )
    yield "## Licence"
    yield (
        f"{_quoted(manifest.licence)}, as its owner says."
        if manifest.licence
        else "Not stated: it is the owner's to give (`licence` when the version is written)."
    )


def _judged(manifest: Manifest) -> Iterator[str]:
    audit = manifest.audit
    for judge in audit.judges:
        raters = sum(share.name.partition(":")[0] == judge.name for share in audit.raters)
        yield f"- {_count(raters, 'rater')} of kind {judge.name}: {_count(judge.total, 'pair')}"
    yield f"- Mean agreement on a pair (its weight): {audit.weight:.2f} of 1"
    agreement = _without_names(" ".join(manifest.agreement.split()), manifest)
    yield f"- Agreement of raters: {agreement or 'not measured'}"
    given = audit.judgements
    if given is None:
        yield "- Position bias: not measured"
        return
    yield (
        f"- Judgements: {given.decided} decided, {given.ties} ties, {given.both_bad} both bad, "
        f"{given.skips} skipped, {given.marks} thumbs and stars, {given.corrections} "
        f"corrections, {given.set_aside} set aside as unusable"
    )
    for position in given.positions:
        yield (
            f"- Position: raters of kind {position.judge} preferred the answer shown earlier "
            f"in {position.first} of {position.n} pairs that they decided "
            f"({position.share:.0%}, 95 % interval {position.low:.0%} to {position.high:.0%})"
        )


def numbered(manifest: Manifest) -> dict[str, str]:
    """Each rater that the manifest knows by kind and number, such as "person 1"."""
    raters = {share.name for share in manifest.audit.raters} | manifest.rule.trust.keys()
    numbers: Counter[str] = Counter()
    found = {}
    for rater in sorted(raters):
        kind = rater.partition(":")[0]
        numbers[kind] += 1
        found[rater] = f"{kind} {numbers[kind]}"
    return found


def _without_names(text: str, manifest: Manifest) -> str:
    """`text` with each rater as "person 1", with or without the kind before the name.

    A rater named by a bare number is one only with the kind before it.
    """
    said: dict[str, str] = {}
    for rater, number in numbered(manifest).items():
        name = rater.partition(":")[2]
        for words in (rater,) if _NUMBER.fullmatch(name) else (rater, name):
            said.setdefault(" ".join(words.split()).casefold(), number)
    longest_first = sorted(said, key=len, reverse=True)
    if not longest_first:
        return text
    names = re.compile(
        rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE
    )
    return names.sub(lambda found: said.get(found[0].casefold(), "a rater"), text)


def _resolved(rule: Rule) -> str:
    ways = {
        None: "How conflicts were resolved is not recorded.",
        "majority": (
            "The majority decides the direction of a pair, and an even vote drops it. The weight "
            "of a pair is (votes for - votes against) / votes given, a tie being a vote given."
        ),
        "bradley-terry": (
            "Bradley-Terry strengths over the judgements of a candidate set, ties as half, "
            "decide the direction; pairs whose strengths differ by less than "
            f"{rule.margin or 0:g} log-odds are left out. Between answers that people compared, "
            "also in a chain, strengths are of their judgements alone. The weight of a pair is "
            "P(chosen wins) - P(rejected wins)."
        ),
    }
    trust = (
        f" Votes of {_count(len(rule.trust), 'rater')} are weighted by the log-odds of their "
        "measured accuracy."
        if rule.trust
        else ""
    )
    return (
        f"Pairs: {_STRATEGIES[rule.strategy]}. {ways[rule.resolve]}{trust} "
        "Where a person judged a pair, judgements of models and rules on it don't count."
    )


def _left_out(manifest: Manifest) -> Iterator[str]:
    dropped = manifest.audit.dropped
    yield f"- {dropped.identical} pairs whose two answers read the same"
    yield f"- {dropped.duplicates} duplicates"
    yield (
        f"- {dropped.near_duplicates} near-duplicates (Jaccard similarity of prompt, chosen and "
        f"rejected each {manifest.near:g} or more, over runs of five characters)"
    )
    yield f"- {dropped.contradictions} pairs that contradict others"
    yield f"- {dropped.refused} pairs whose prompt's author refused training"
    if manifest.require_consent:
        yield f"- {dropped.not_asked} pairs whose prompt's author was not asked"


def _consent(audit: Audit) -> Iterator[str]:
    for share in audit.consent:
        yield f"- Consent of the prompt's author {share.name}: {_count(share.total, 'pair')}"
    for item in audit.personal:
        yield (
            f"- Signs of personal data, {item.kind}: in {item.prompt} prompts, {item.chosen} "
            f"chosen and {item.rejected} rejected answers"
        )
    if not audit.personal:
        yield "- No e-mail or IP addresses, phone, card or account numbers were found"
    yield "- Names and postal addresses are not looked for"


def _thumbs(audit: Audit) -> str:
    counts = {share.name: share.total for share in audit.thumbs}
    if not counts:
        return ""
    return (
        f" Besides, {_count(sum(counts.values()), 'answer')} judged alone: "
        f"{counts.get('up', 0)} good, {counts.get('down', 0)} not (thumbs.jsonl)."
    )


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _quoted(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
