"""The story of a run: what its steps recorded, put on the index page.

    story.write(session)     # reports/RUN/index.html

Nothing is computed here that a step did not record; a step that did not run
leaves its part of the page out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from workbench import preferences, prompts, report, runs, trace_view, tracing
from workbench.adapters.parity import EQUAL_TOKENS, Parity
from workbench.errors import InputError
from workbench.evaluation import decision, plots
from workbench.raters import Raters
from workbench.records import Comparison, Verdict
from workbench.session import Session

R = TypeVar("R")

_HEADLINES = {
    "better": "The adapter is better than its base",
    "worse": "The adapter is worse than its base",
    "no proof": "No proof either way",
}
_NOT_FACTS = ("losses", "accuracies", "options")


def headline(session: Session) -> str:
    """The verdict in a few words. Raises InputError when there is no verdict yet."""
    return _HEADLINES[decision(session.recall("verdict", Verdict))]


def write(session: Session, *, n_examples: int = 6) -> Path:
    """Write the index page and return its path.

    Raises InputError when the run has no verdict yet, and when its steps speak of
    different adapters, as they do when an early notebook was run again alone.
    """
    _need_one_story(session)
    verdict = session.recall("verdict", Verdict)
    comparisons = session.recall("comparisons", list[Comparison])
    training = _recall(session, "training", dict[str, Any]) or {}
    parity = _recall(session, "parity", Parity)
    page = report.Page(
        title=f"Workbench run {session.run}",
        headline=headline(session),
        conclusion=_detail(verdict),
        tiles=_tiles(verdict, training),
        facts=_facts(session, verdict, training, parity),
        figures=[*_figures(verdict, comparisons, training, parity), *_audit(session)],
        exchanges=_exchanges(session, comparisons[:n_examples]),
        notebooks=_notebooks(session),
        traces=_traces(session),
    )
    return report.write(page, session.folder / "index.html")


_LINKS = (
    ("The training is of dataset", "training", "dataset", "dataset", "version", "05, 06 and 07"),
    ("The adapter is of training", "adapter", "training", "training", "training", "06 and 07"),
    ("The verdict is of adapter", "judged", "generation", "adapter", "generation", "07"),
)
"""In words, and as results: what a later one names must be the earlier one; else run again."""


def _need_one_story(session: Session) -> None:
    for claim, result, name, other, own_name, again in _LINKS:
        later = _recall(session, result, dict[str, Any])
        earlier = _recall(session, other, dict[str, Any])
        if later and earlier and later[name] != earlier[own_name]:
            raise InputError(
                f"{claim} {later[name]}, and the last is {earlier[own_name]}",
                f"Run notebook {again} again",
            )


def _tiles(verdict: Verdict, training: Mapping[str, Any]) -> list[tuple[str, str]]:
    tiles = [
        (f"win rate ({verdict.low:.0%} to {verdict.high:.0%})", f"{verdict.win_rate:.0%}"),
        ("wins : losses : ties", f"{verdict.wins} : {verdict.losses} : {verdict.ties}"),
        ("words, base to adapter", f"{verdict.base_words:.1f} → {verdict.adapter_words:.1f}"),
        _judged_by(verdict),
    ]
    if training:
        tiles.insert(3, ("pairs trained on", str(training["pairs"])))
    return tiles


def _detail(verdict: Verdict) -> str:
    """The conclusion without its first words, which are the headline."""
    _, _, detail = verdict.conclusion.partition(": ")
    return detail[:1].upper() + detail[1:]


def _judged_by(verdict: Verdict) -> tuple[str, str]:
    """Who judged: the names, and the kinds ("rule", "person" or "model")."""
    kinds, names = zip(*(rater.split(":", 1) for rater in verdict.judged_by), strict=True)
    return f"judged by {', '.join(names)}", " and ".join(sorted(set(kinds)))


def _figures(
    verdict: Verdict,
    comparisons: list[Comparison],
    training: Mapping[str, Any],
    parity: Parity | None,
) -> list[report.Figure]:
    figures = [
        report.Figure(
            report.svg(plots.outcomes(verdict)),
            f"{verdict.wins} wins, {verdict.ties} ties, {verdict.losses} losses",
            "Held-out prompts of topics that were never trained on.",
        ),
        report.Figure(
            report.svg(plots.lengths(comparisons)),
            "Length of the adapter's answer against the base's, a point a prompt",
            "If every point lay below the diagonal, length alone would explain the result.",
        ),
    ]
    if training:
        losses = [(int(step), float(loss)) for step, loss in training["losses"]]
        figures.append(
            report.Figure(
                report.svg(plots.losses(losses)),
                "Training loss by step",
                "DPO starts at ln 2 ≈ 0.69, where chosen and rejected are not told apart.",
            )
        )
    if parity is not None:
        points = [(f"{c.backend} {c.precision}", c.kl) for c in parity.runtimes]
        figures.append(
            report.Figure(
                report.svg(plots.divergences(points)),
                "Mean KL divergence per token from the torch reference, by runtime and precision",
                "The same adapter in every runtime: how far each is from the reference.",
            )
        )
    return figures


def _audit(session: Session) -> list[report.Figure]:
    """The picture of the preference data, with its warnings in words."""
    if not (made := _recall(session, "dataset", dict[str, Any])):
        return []
    dataset = preferences.load(session.dataset_folder(made["version"]))
    warnings = dataset.manifest.audit.warnings
    return [
        report.Figure(
            report.svg(preferences.plot(dataset)),
            "The preference data that it was trained on",
            " ".join(warnings) or "Nothing in the audit asks to be looked at.",
        )
    ]


def _traces(session: Session) -> list[tuple[str, str]]:
    """What each agent did, call by call."""
    if not (made := _recall(session, "agent", dict[str, Any])):
        return []
    spans = tracing.read(session.spans)
    views = [trace_view.show(spans, trace).spans for trace in made["traces"]]
    return [
        (
            f"What the agent {trace_view.tree(view)[0].name} did: {made['task']}",
            trace_view.html(view),
        )
        for view in views
    ]


def _facts(
    session: Session, verdict: Verdict, training: Mapping[str, Any], parity: Parity | None
) -> dict[str, list[tuple[str, str]]]:
    tables: dict[str, Mapping[str, Any]] = {
        "Verdict": {
            "prompts": verdict.n,
            "win rate": f"{verdict.win_rate:.3f}",
            f"{verdict.confidence:.0%} interval": f"{verdict.low:.3f} to {verdict.high:.3f}",
            "win rate at equal length": _number(verdict.length_controlled),
            "if the longest answer always won": f"{verdict.longest_wins:.3f}",
            "agreement of raters": _number(verdict.agreement),
        },
        "Who judged the training data": _raters(_recall(session, "raters", Raters)),
        "Preference data": _recall(session, "dataset", dict[str, Any]) or {},
        "Training": {k: v for k, v in training.items() if k not in _NOT_FACTS},
        "Adapter": _recall(session, "adapter", dict[str, Any]) or {},
        "Agent": _recall(session, "agent", dict[str, Any]) or {},
        "The same adapter in every runtime": _agreement(parity),
        "The bare runtimes": _recall(session, "backends", dict[str, Any]) or {},
        "Parameters": _parameters(session),
        "Settings": _settings(session),
        "Model and versions": _recall(session, "environment", dict[str, Any]) or {},
    }
    return {
        title: [(str(name), _shown(value)) for name, value in table.items()]
        for title, table in tables.items()
        if table
    }


def _agreement(parity: Parity | None) -> dict[str, Any]:
    """Each runtime beside the reference, in words."""
    if parity is None:
        return {}
    rows = {
        f"{runtime.backend} {runtime.precision}": f"KL {runtime.kl:.2g} nats per token, "
        f"{EQUAL_TOKENS} equal tokens, or all of a shorter answer, on "
        f"{runtime.equal_share:.0%} of {parity.prompts} prompts"
        for runtime in parity.runtimes
    }
    return {"reference": parity.reference, **rows}


def _raters(raters: Raters | None) -> dict[str, Any]:
    """Each rater in a line; what can't be told of one rater alone says why."""
    if raters is None:
        return {}
    rows = {
        rater.name: f"{rater.judgements} judgements, {rater.ties} ties among {rater.pairs} pairs, "
        f"the answer shown earlier wins {rater.position.earlier}"
        for rater in raters.raters
    }
    return {
        **rows,
        f"Krippendorff's alpha of {raters.agreement_of}": raters.alpha,
        "highest win rate that such raters can show": raters.ceiling,
    }


def _exchanges(session: Session, comparisons: list[Comparison]) -> list[report.Exchange]:
    asked = {p.id: p.messages[-1].content for p in prompts.load(session.settings.prompts)}
    return [
        report.Exchange(
            prompt=asked.get(comparison.prompt_id, comparison.prompt_id),
            before=comparison.base.text,
            after=comparison.adapter.text,
            outcome=comparison.outcome,
        )
        for comparison in comparisons
    ]


def _parameters(session: Session) -> dict[str, Any]:
    """Every parameter of the steps that were run, given or not; none for notebooks by hand.

    One that differs between steps is shown for each of them.
    """
    if session.interactive:
        return {}
    values: dict[str, dict[str, list[str]]] = {}
    for step in runs.load(session.folder).steps:
        for name, value in step.parameters.items():
            number = step.notebook.partition("-")[0]
            values.setdefault(name, {}).setdefault(_shown(value), []).append(number)
    return {
        name if len(found) == 1 else f"{name} ({', '.join(steps)})": value
        for name, found in sorted(values.items())
        for value, steps in found.items()
        if value and name != "run_name"
    }


def _settings(session: Session) -> dict[str, Any]:
    """How the model was served, of a run or of the notebook that writes the page."""
    serving = (
        session.settings.serving if session.interactive else runs.load(session.folder).settings
    )
    return {name.upper(): value for name, value in serving.items() if value not in (None, [], "")}


def _notebooks(session: Session) -> list[tuple[str, str]]:
    if session.interactive:
        return []
    return [(step, f"{step}.html") for step in runs.STEPS]


def _recall(session: Session, name: str, type: type[R]) -> R | None:
    """A recorded result, or None when the step that records it did not run."""
    try:
        session.given(session.folder / "results" / f"{name}.json")
    except InputError:
        return None
    return session.recall(name, type)


def _number(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.3f}"


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
