"""Questions in SQL over real journals."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.errors import InputError
from workbench.records import Usage
from workbench.settings import Settings
from workbench.tracing import Tracer, query, summary


@pytest.fixture
def path(tmp_path: Path) -> Path:
    tracer = Tracer(tmp_path / "spans.jsonl", Settings(tmp_path, tmp_path), session="s")
    for i in range(4):
        with tracer.span("generation", "chat", input=f"question {i}", model="base") as span:
            span.finish(output={"text": f"answer {i}"}, usage=Usage(10 + i, i, i))
    with pytest.raises(ValueError, match="no"), tracer.span("tool", "python"):
        raise ValueError("no")
    with tracer.span("retriever", "search", input="q") as span:
        span.finish(output=[], metadata={"k": 5})
    return tracer.path


def test_spans_are_asked_in_sql(path):
    rows = query(
        "SELECT output->>'text' AS text, usage.prompt_tokens AS tokens FROM spans "
        "WHERE kind = 'generation' ORDER BY tokens DESC LIMIT 2",
        path,
    )
    assert rows.to_dict("list") == {"text": ["answer 3", "answer 2"], "tokens": [13, 12]}


def test_text_metadata_and_times_can_be_asked(path):
    rows = query(
        "SELECT input->>'$' AS input, (metadata->>'k')::INT AS k, "
        "ended - started AS took, started::DATE AS day FROM spans WHERE name = 'search'",
        path,
    )
    assert rows["input"].tolist() == ["q"]
    assert rows["k"].tolist() == [5]
    assert rows["took"][0].total_seconds() >= 0


def test_several_journals_are_one_table(path, tmp_path):
    other = Tracer(tmp_path / "other.jsonl", Settings(tmp_path, tmp_path))
    with other.span("tool", "extra"):
        pass
    assert query("SELECT count(*) AS n FROM spans", path, other.path)["n"][0] == 7


def test_the_summary_adds_up_calls_tokens_and_failures(path):
    generation, retriever, tool = summary(path)
    assert (generation.kind, generation.model, generation.calls) == ("generation", "base", 4)
    assert (generation.prompt_tokens, generation.completion_tokens) == (46, 6)
    assert (generation.failed, tool.failed) == (0, 1)
    assert (retriever.kind, retriever.model, retriever.calls) == ("retriever", "", 1)
    assert generation.seconds > 0


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT nothing FROM spans",
        "SELECT * FROM read_text('{path}')",
        "COPY spans TO '{path}'",
        "ATTACH '{path}.db' AS other",
        "SET enable_external_access = true",
    ],
)
def test_a_question_cannot_touch_files(path, sql):
    before = path.read_bytes()
    with pytest.raises(InputError, match="The question was refused"):
        query(sql.format(path=path), path)
    assert path.read_bytes() == before
    assert not Path(f"{path}.db").exists()


def test_a_broken_line_is_named(path):
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = b'{"id": nonsense\n'
    path.write_bytes(b"".join(lines))
    with pytest.raises(InputError, match=r"spans.jsonl, line 3"):
        query("SELECT 1", path)


def test_a_torn_last_line_is_passed_over(path):
    with open(path, "ab") as file:
        file.write(b'{"id": "tor')
    assert query("SELECT count(*) AS n FROM spans", path)["n"][0] == 6


def test_an_empty_journal_has_no_spans(tmp_path):
    path = tmp_path / "empty.jsonl"
    path.write_bytes(b"")
    assert query("SELECT count(*) AS n FROM spans", path)["n"][0] == 0
    assert summary(path) == []


def test_a_missing_journal_is_an_error(tmp_path):
    with pytest.raises(InputError, match="There are no spans"):
        summary(tmp_path / "none.jsonl")
