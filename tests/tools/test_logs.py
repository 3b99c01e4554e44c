"""Lines of logs by text, expression and time; no expression can hang the search."""

from __future__ import annotations

import pytest
from asked_tools import INJECTION, ask, refused
from examples import STRANGE_TEXTS

from workbench.tools import Context

LOG = """\
no time yet
2026-03-14T10:00:00Z INFO start
2026-03-14 10:00:01,500 WARN knock on cylinder 3
  detail: 3.5 deg
2026-03-14T13:00:02+03:00 ERROR cut
2026-03-14T10:00:03Z INFO end
"""


@pytest.fixture
def log(context: Context) -> Context:
    (context.workspace / "logs").mkdir()
    (context.workspace / "logs" / "engine.log").write_text(LOG)
    return context


def lines(context: Context, /, **arguments: object) -> list[int]:
    found = ask(context, "search_logs", files="engine.log", **arguments)
    return [match["line"] for match in found["matches"]]


def test_the_sample_log_tells_about_the_overboost(context: Context) -> None:
    found = ask(context, "search_logs", pattern="overboost cut", files="boost_target.log")
    (match,) = found["matches"]
    assert match["file"] == "samples/logs/boost_target.log"
    assert "rpm=4600 load=100" in match["text"]


def test_text_is_text_and_an_expression_is_one(log: Context) -> None:
    assert lines(log, pattern="3.5") == [4]
    assert lines(log, pattern="3.5", regex=True) == [4]
    assert lines(log, pattern="W..N|E.+R ", regex=True) == [3, 5]
    assert lines(log, pattern="W..N") == []
    assert lines(log, pattern="KNOCK", ignore_case=True) == [3]
    assert lines(log, pattern="KNOCK", ignore_case=True, regex=True) == [3]
    assert lines(log, pattern="^2026.*(INFO|ERROR)", regex=True) == [2, 5, 6]


def test_a_time_range_knows_zones_and_lines_without_a_time(log: Context) -> None:
    every = {"pattern": ".*", "regex": True}
    assert lines(log, **every) == [1, 2, 3, 4, 5, 6]
    assert lines(log, since="2026-03-14T10:00:01Z", **every) == [3, 4, 5, 6]
    assert lines(log, until="2026-03-14T10:00:02Z", **every) == [2, 3, 4, 5]
    assert lines(log, since="2026-03-14 10:00:02", until="2026-03-14 10:00:02", **every) == [5]
    assert "Give a time such as" in refused(log, "search_logs", pattern="x", since="yesterday")


def test_neighbours_are_shown_on_request(log: Context) -> None:
    (match,) = ask(log, "search_logs", pattern="detail", context=1)["matches"]
    assert match["before"] == ["2026-03-14 10:00:01,500 WARN knock on cylinder 3"]
    assert match["after"] == ["2026-03-14T13:00:02+03:00 ERROR cut"]


def test_matches_left_out_are_counted(context: Context) -> None:
    (context.workspace / "a.log").write_text("same\n" * 1_000)
    found = ask(context, "search_logs", pattern="same", limit=5)
    assert (len(found["matches"]), found["left_out"]) == (5, 995)


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "(.*.*.*)*x", "^(([a-z])+.)+[A-Z]([a-z])+$"]
)
def test_an_expression_that_would_never_end_ends(pattern: str, context: Context) -> None:
    (context.workspace / "a.log").write_text("a" * 200_000 + "!\n")
    ask(context, "search_logs", pattern=pattern, regex=True)


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1", "a{2000}{2000}", "[", "(?P<n>"])
def test_an_expression_that_can_not_be_used_is_one_line(pattern: str, log: Context) -> None:
    assert "Mend it" in refused(log, "search_logs", pattern=pattern, regex=True)


@pytest.mark.parametrize("name", [n for n, t in STRANGE_TEXTS.items() if t.strip()])
def test_strange_lines_are_found_and_cut(name: str, context: Context) -> None:
    said = STRANGE_TEXTS[name]
    (context.workspace / "a.log").write_text(said, newline="")
    wanted = said.split("\n")[0][:20]
    for regex in (False, True):
        if regex and not wanted.replace(" ", "").isalnum():
            continue
        (match, *_) = ask(context, "search_logs", pattern=wanted, regex=regex)["matches"]
        assert match["text"].startswith(said.split("\n")[0][:400])
        assert len(match["text"]) < 500


def test_what_is_no_text_does_not_stop_the_search(context: Context) -> None:
    (context.workspace / "a.log").write_bytes(b"\xff\xfe\x00needle\n")
    (context.workspace / "b.log").symlink_to("/etc/passwd")
    found = ask(context, "search_logs", pattern="needle")
    assert [match["file"] for match in found["matches"]] == ["a.log"]


@pytest.mark.parametrize("files", ["/etc/passwd", "../*", "*/passwd", "none.log"])
def test_files_elsewhere_are_not_searched(files: str, context: Context) -> None:
    assert "No log file" in refused(context, "search_logs", pattern="root", files=files)


def test_a_folder_narrows_the_search(log: Context) -> None:
    (log.workspace / "other.log").write_text("cut\n")
    found = ask(log, "search_logs", pattern="cut", folder="logs")
    assert [match["file"] for match in found["matches"]] == ["logs/engine.log"]
    for folder in ("../datasets", "/etc", "none"):
        refused(log, "search_logs", pattern="cut", folder=folder)


def test_orders_in_a_log_are_text(context: Context) -> None:
    (context.workspace / "a.log").write_text(INJECTION)
    (match,) = ask(context, "search_logs", pattern="IGNORE ALL")["matches"]
    assert match["text"] == INJECTION
