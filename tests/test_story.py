"""The page tells one story: of one verdict, one adapter, one training, one dataset."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from workbench import story, tracing
from workbench.errors import InputError
from workbench.session import Session
from workbench.settings import Settings

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """A notebook opened by hand, before which none was run."""
    for name in ("samples", "prompts"):
        shutil.copytree(ROOT / "datasets" / name, tmp_path / "datasets" / name)
    return Session("09-report", "notebook", 0, Settings.load({}, root=tmp_path))


def _change(session: Session, result: str, **changes: Any) -> None:
    session.record(result, session.recall(result, dict[str, Any]) | changes)


def test_the_samples_tell_one_story(session: Session) -> None:
    page = story.write(session).read_text()
    assert story.headline(session) in page
    assert "The same adapter in every runtime" in page
    assert "rule:short-first-sentence" in page
    assert "Who judged the training data" in page
    assert "The preference data that it was trained on" in page  # the audit's picture
    dataset = session.recall("dataset", dict[str, Any])
    assert f"connected components</th><td>{dataset['connected components']}" in " ".join(
        page.split()
    ).replace("</th> <td>", "</th><td>")


def test_what_agents_did_is_told_call_by_call(session: Session) -> None:
    tracer = tracing.Tracer(session.spans, session.settings)
    traces = []
    for name in ("careful", "free"):
        with tracer.span("agent", name, input="Look.") as agent:
            with tracer.span("tool", "get_map", input='{"name": "x"}') as call:
                call.finish(output=f"<script>alert(1)</script> {name}")
            agent.finish(output="Found.")
        traces.append(agent.trace_id)
    session.record("agent", {"task": "Look at <x>", "traces": traces, "steps": 3})
    page = story.write(session).read_text()
    for name in ("careful", "free"):
        assert f"What the agent {name} did: Look at &lt;x&gt;" in page
        assert f"&lt;script&gt;alert(1)&lt;/script&gt; {name}" in page
    assert "<script>alert" not in page
    session.record("agent", {"task": "Look", "traces": ["of no span"], "steps": 3})
    with pytest.raises(InputError, match="of no span"):
        story.write(session)


@pytest.mark.parametrize(
    ("result", "changes", "remedy"),
    [
        ("dataset", {"version": "0123"}, "Run notebook 05, 06 and 07 again"),
        ("training", {"training": "0123"}, "Run notebook 06 and 07 again"),
        ("adapter", {"generation": "notebook/0002-0123"}, "Run notebook 07 again"),
    ],
)
def test_steps_that_speak_of_different_adapters_are_refused(
    session: Session, result: str, changes: dict[str, Any], remedy: str
) -> None:
    _change(session, result, **changes)
    with pytest.raises(InputError, match=remedy):
        story.write(session)
    assert not (session.folder / "index.html").exists()
