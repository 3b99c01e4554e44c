from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from examples import candidate_set, completion, preference, rating
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.errors import InputError
from workbench.preferences import build, load, thumbs, write
from workbench.records import Message, Origin, Timing, ToolCall

PAIRS = [
    preference(f"Question {i}?", f"short {i}", f"a longer answer {i}", topic=f"topic {i % 12}")
    for i in range(40)
]


def versions(root: Path) -> list[str]:
    """What a reader of the folder finds, by name."""
    return sorted(path.parent.name for path in (root / "demo").glob("[!.]*/manifest.json"))


def written(tmp_path: Path, preferences=PAIRS, **options):
    return write(preferences, "demo", tmp_path, validation=0.2, test=0.2, **options)


def lines(path: Path) -> list:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_version_holds_every_pair_on_one_side(tmp_path):
    dataset = written(tmp_path)
    assert dataset.folder == tmp_path / "demo" / dataset.version
    sides = [dataset.train, dataset.validation, dataset.test]
    assert all(sides)
    assert {p.id for side in sides for p in side} == {p.id for p in PAIRS}
    assert sum(len(side) for side in sides) == len(PAIRS)


def test_the_training_file_is_trl_s_conversational_format_in_the_order_of_the_records(tmp_path):
    [pair] = [preference("Why?", "Because.", "No.", system="Be brief.")]
    dataset = write([pair], "demo", tmp_path, validation=0, test=0)
    assert lines(dataset.file("train")) == [
        {
            "prompt": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "Why?"},
            ],
            "chosen": [{"role": "assistant", "content": "Because."}],
            "rejected": [{"role": "assistant", "content": "No."}],
        }
    ]
    many = written(tmp_path)
    texts = [row["chosen"][0]["content"] for row in lines(many.file("train"))]
    assert texts == [pair.chosen.text for pair in many.train]


def test_reasoning_and_tool_calls_are_kept(tmp_path):
    call = ToolCall("1", "add", '{"a": 1}')
    plain = preference("1 + 1?", "2", "3")
    asked = replace(
        plain.prompt,
        messages=(
            *plain.prompt.messages,
            Message("assistant", "", (call,)),
            Message("tool", "2", tool_call_id="1"),
        ),
    )
    thinking = replace(plain.chosen, reasoning="Adding.")
    pair = replace(plain, prompt=asked, chosen=thinking)
    [row] = lines(write([pair], "demo", tmp_path, validation=0, test=0).file("train"))
    function = {"name": "add", "arguments": '{"a": 1}'}
    assert row["prompt"][1]["tool_calls"] == [{"id": "1", "type": "function", "function": function}]
    assert row["prompt"][2] == {"role": "tool", "content": "2", "tool_call_id": "1"}
    assert row["chosen"] == [{"role": "assistant", "content": "<think>\nAdding.\n</think>\n\n2"}]


def test_an_empty_side_has_no_file_and_says_so(tmp_path):
    dataset = write(PAIRS, "demo", tmp_path, validation=0.0, test=0.0)
    assert sorted(path.name for path in dataset.folder.iterdir()) == [
        "README.md",
        "manifest.json",
        "pairs.jsonl",
        "train.jsonl",
    ]
    with pytest.raises(InputError, match="no validation pairs"):
        dataset.file("validation")


def test_the_manifest_says_who_judged_what_and_from_which_journals(tmp_path):
    journal = tmp_path / "ratings.jsonl"
    journal.write_text("{}\n")
    by_rule = preference("Rule?", "yes", "no no", topic="rules", raters=("rule:shorter",))
    dataset = written(tmp_path, [*PAIRS, by_rule, by_rule], sources=[journal], seed=3)
    manifest = dataset.manifest
    assert [(s.name, s.total) for s in manifest.audit.judges] == [("person", 40), ("rule", 1)]
    assert manifest.audit.dropped.duplicates == 1
    assert manifest.audit.chosen_longer == 0.0
    assert (manifest.audit.chosen_words, manifest.seed) == (pytest.approx(81 / 41), 3)
    assert manifest.sources[0].sha256.startswith("ca3d163bab055381827226140568f3be")
    assert load(dataset.folder) == dataset


def test_writing_the_same_again_changes_nothing(tmp_path):
    first = written(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    again = written(tmp_path, list(reversed(PAIRS)))
    assert again == first
    assert {path: path.stat().st_mtime_ns for path in first.folder.iterdir()} == before


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.permutations(PAIRS[:10]))
def test_the_version_does_not_depend_on_order(tmp_path_factory, pairs):
    there, here = (tmp_path_factory.mktemp("v") for _ in range(2))
    one, other = written(there, PAIRS[:10]), written(here, pairs)
    assert one.version == other.version
    for path in one.folder.iterdir():
        assert path.read_bytes() == (other.folder / path.name).read_bytes()


def test_the_version_is_of_what_is_trained_on_and_who_judged(tmp_path):
    version = written(tmp_path).version
    slower = [replace(p, chosen=replace(p.chosen, timing=Timing(9.0, 9.0))) for p in PAIRS]
    assert written(tmp_path / "slower", slower).version == version
    other_text = [replace(PAIRS[0], chosen=completion("other")), *PAIRS[1:]]
    other_rater = [replace(PAIRS[0], raters=("rule:shorter",)), *PAIRS[1:]]
    assert len({version, *(written(tmp_path, p).version for p in (other_text, other_rater))}) == 3
    assert written(tmp_path, seed=1).version != version
    assert version in versions(tmp_path)
    assert len(versions(tmp_path)) == 4


@pytest.mark.parametrize(
    "options",
    [
        {"strategy": "all"},
        {"resolve": "majority"},
        {"resolve": "bradley-terry"},
        {"resolve": "bradley-terry", "margin": 0.3},
        {"trust": {"person:anna": 0.9}},
        {"near": 1},
        {"require_consent": True},
        {"agreement": "alpha 0.1"},
        {"licence": "mit"},
        {"seed": 7},
        {"test": 0.21},
    ],
    ids=str,
)
def test_a_version_names_the_settings_that_its_manifest_states(tmp_path, options):
    pairs = [
        replace(p, prompt=replace(p.prompt, origin=Origin(consent="given"))) for p in PAIRS[:20]
    ]
    plain = {"validation": 0.2, "test": 0.2}
    one = write(pairs, "demo", tmp_path, **plain)
    other = write(pairs, "demo", tmp_path, **(plain | options))
    assert other.version != one.version
    assert load(other.folder) == other
    assert write(pairs[::-1], "demo", tmp_path, **(plain | options)) == other


def test_a_version_names_the_ratings_behind_its_pairs(tmp_path):
    sets = [candidate_set(f"s{i}", "yes", "no", topic=f"t{i}") for i in range(8)]

    def judged(at: str):
        ratings = [rating(s.id, "a>b", at=at) for s in sets]
        ratings += [rating(s.id, kind="thumbs", shown="a", value=1, at="2026-01-01") for s in sets]
        pairs, marks = build(sets, ratings), thumbs(sets, ratings)
        return write(pairs, "demo", tmp_path, validation=0, test=0, thumbs=marks)

    one, other = judged("2026-01-01"), judged("2026-02-02")
    assert one.version != other.version
    assert {p.ratings for p in one.train}.isdisjoint(p.ratings for p in other.train)
    # What is trained on is the same, and in the same order.
    assert one.file("train").read_bytes() == other.file("train").read_bytes()
    marks = [
        replace(mark.thumb, ratings=("other",)) if i == 0 else mark.thumb
        for i, mark in enumerate(other.marks)
    ]
    again = write(other.train, "demo", tmp_path, validation=0, test=0, thumbs=marks)
    assert again.version != other.version


def test_journals_that_grew_do_not_make_a_version(tmp_path):
    journal = tmp_path / "ratings.jsonl"
    journal.write_text("{}\n")
    one = written(tmp_path, sources=[journal])
    journal.write_text("{}\n{}\n")
    assert written(tmp_path, sources=[journal]) == one


@pytest.mark.parametrize("name", ["train.jsonl", "pairs.jsonl", "manifest.json"])
def test_an_altered_file_is_named(tmp_path, name):
    dataset = written(tmp_path)
    path = dataset.folder / name
    path.write_text(path.read_text().replace("short", "shirt").replace('"seed": 0', '"seed": 1'))
    with pytest.raises(InputError, match=f"{name} is not as it was written"):
        load(dataset.folder)
    with pytest.raises(InputError, match=f"{name} is not as it was written"):
        written(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    dataset = written(tmp_path)
    dataset.file("test").unlink()
    with pytest.raises(InputError, match=r"test\.jsonl is not as it was written"):
        load(dataset.folder)
    with pytest.raises(InputError, match="not a dataset version"):
        load(tmp_path / "demo")


def test_a_version_can_be_copied_elsewhere(tmp_path):
    dataset = written(tmp_path)
    moved = dataset.folder.rename(tmp_path / "sample")
    assert load(moved).train == dataset.train


def test_what_a_kill_left_is_no_version_and_is_cleared_away(tmp_path):
    left = tmp_path / "demo" / ".partial-0123456789abcdef"
    left.mkdir(parents=True)
    (left / "manifest.json").write_text("{")
    assert versions(tmp_path) == []
    dataset = written(tmp_path)
    assert versions(tmp_path) == [dataset.version]
    assert not left.exists()


WRITER = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from examples import preference
from workbench.preferences import write

root, kill_at = sys.argv[1], int(sys.argv[2])
steps = 0

def deadly(call):
    def step(*args, **options):
        global steps
        steps += 1
        if steps == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **options)
    return step

os.fsync, os.rename, os.open = deadly(os.fsync), deadly(os.rename), deadly(os.open)
pairs = [preference(f"Q {{i}}?", "yes", "no", topic=f"{{i}}") for i in range(40)]
print(write(pairs, "demo", root).version, steps)
"""


@pytest.mark.slow
def test_killed_at_any_step_the_version_is_whole_or_absent(tmp_path):
    code = WRITER.format(tests=str(Path(__file__).parents[1]))

    def run(root: Path, kill_at: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, str(root), str(kill_at)]
        return subprocess.run(command, capture_output=True, text=True)

    version, steps = run(tmp_path / "whole", 0).stdout.split()
    assert int(steps) > 8
    for kill_at in range(1, int(steps) + 1):
        root = tmp_path / str(kill_at)
        assert run(root, kill_at).returncode == -signal.SIGKILL
        assert all(load(root / "demo" / name).version == version for name in versions(root))
        assert run(root, 0).stdout.split()[0] == version
        assert versions(root) == [version]
        assert not list((root / "demo").glob(".partial-*"))


def test_nothing_to_train_on_is_refused(tmp_path):
    with pytest.raises(InputError, match="no pairs to train on"):
        written(tmp_path, [])
    held_out = [preference("Q?", "yes", "no", topic="one")]
    refused = 0
    for seed in range(20):
        try:
            write(held_out, "demo", tmp_path, test=0.5, seed=seed)
        except InputError:
            refused += 1
    assert 0 < refused < 20


@pytest.mark.parametrize("name", ["", "../out", "a/b", ".hidden"])
def test_a_name_stays_inside_its_folder(tmp_path, name):
    with pytest.raises(InputError, match="can't name a dataset"):
        write(PAIRS, name, tmp_path)


def test_a_missing_source_is_an_error(tmp_path):
    with pytest.raises(InputError, match="can't be read"):
        written(tmp_path, sources=[tmp_path / "none.jsonl"])


def test_a_place_that_cannot_be_written_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "demo").write_text("a file where a folder should be")
    with pytest.raises(InputError, match="can't be written"):
        written(tmp_path)


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    import resource

    small = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, small[1]))
    try:
        with pytest.raises(InputError, match="can't be written"):
            written(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, small)
    assert [path.name for path in (tmp_path / "demo").iterdir() if path.name != ".lock"] == []
