"""Tokens to pieces: characters, stop strings, reasoning and tool calls, however they are cut."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from workbench.backends.pieces import Detokenizer, Pieces, Segments, StopFinder
from workbench.backends.tool_calls import CallReader
from workbench.models.tool_forms import FORMS

HERMES = CallReader(FORMS["hermes"], ())


def decode_bytes(tokens):
    """A tokenizer whose tokens are single bytes."""
    return bytes(tokens).decode("utf-8", errors="replace")


def cut(text, data):
    """`text` in random pieces."""
    at = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return [text[a:b] for a, b in zip([0, *at], [*at, len(text)], strict=True)]


def segmented(pieces, **options):
    """Text, reasoning and calls of a stream."""
    segments = Segments(**({"thinking": False, "reader": None, "calls": "id"} | options))
    deltas = [d for piece in pieces for d in segments.push(piece)] + segments.flush()
    calls = [(d.tool_call.name, json.loads(d.tool_call.arguments)) for d in deltas if d.tool_call]
    return "".join(d.text for d in deltas), "".join(d.reasoning for d in deltas), calls


@given(st.text())
def test_text_comes_out_whole_and_never_half_a_character(text):
    detokenizer = Detokenizer(decode_bytes)
    pieces = [detokenizer.push(byte) for byte in text.encode()]
    assert "".join(pieces) + detokenizer.flush() == text
    assert all("\ufffd" not in piece for piece in pieces) or "\ufffd" in text


def test_bytes_that_never_become_a_character_are_shown_at_the_end():
    detokenizer = Detokenizer(decode_bytes)
    assert [detokenizer.push(byte) for byte in b"a\xf0\x9f"] == ["a", "", ""]
    assert detokenizer.flush() == "\ufffd"


def test_a_leading_space_that_a_tokenizer_drops_is_kept_within_the_text():
    words = ["▁The", "▁sky"]
    detokenizer = Detokenizer(
        lambda ids: "".join(words[i] for i in ids).replace("▁", " ").removeprefix(" ")
    )
    assert [detokenizer.push(i) for i in (0, 1, 1)] == ["The", " sky", " sky"]


@given(st.data(), st.text("abE\n", max_size=20), st.sampled_from(["E", "ab", "\n\n", "aab"]))
def test_a_stop_string_is_found_however_it_is_cut(data, text, stop):
    finder = StopFinder([stop])
    shown = "".join(finder.push(piece) for piece in cut(text, data)) + finder.flush()
    assert shown == text.split(stop)[0]
    assert finder.found == (stop in text)


def test_text_that_only_began_like_a_stop_string_comes_through():
    finder = StopFinder(["END", "\n\nUser:"])
    assert [finder.push(x) for x in ("EN", "ergy", "\n\nUs", "e")] == ["", "ENergy", "", ""]
    assert finder.flush() == "\n\nUse"


@given(st.data())
def test_reasoning_at_the_beginning_is_set_apart(data):
    text, reasoning, _ = segmented(cut("<think>\nFirst <b> this.</think>\n\nThe answer.", data))
    assert (text, reasoning) == ("The answer.", "\nFirst <b> this.")


def test_a_prompt_that_ended_in_think_begins_with_reasoning():
    assert segmented(["so", "</thi", "nk>yes"], thinking=True)[:2] == ("yes", "so")


def test_think_in_the_middle_is_text():
    assert segmented(["Use <think> tags</think>"])[0] == "Use <think> tags</think>"


def test_reasoning_that_was_cut_off_is_still_reasoning():
    assert segmented(["<think>hm", "m</th"])[:2] == ("", "hmm</th")


@given(st.data())
def test_tool_calls_are_taken_out_of_the_text(data):
    call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Рига"}}\n</tool_call>'
    text, _, calls = segmented(cut(f"Let me look.{call}\n{call}", data), reader=HERMES)
    assert text == "Let me look."
    assert calls == [("weather", {"city": "Рига"})] * 2


def test_tool_calls_have_ids_of_their_own():
    segments = Segments(thinking=False, reader=HERMES, calls="abc")
    deltas = segments.push('<tool_call>{"name": "a"}</tool_call>' * 2)
    assert [d.tool_call.id for d in deltas] == ["abc-1", "abc-2"]


@given(st.data(), st.sampled_from(["not json", '{"arguments": {}}', "[1]", "[]", "7", '"name"']))
def test_a_tool_call_that_is_none_stays_text(data, body):
    text = f"<tool_call>{body}</tool_call>."
    assert segmented(cut(text, data), reader=HERMES) == (text, "", [])


def test_a_tool_call_without_its_end_counts_when_it_is_whole_json():
    assert segmented(['<tool_call>{"name": "a"}'], reader=HERMES)[2] == [("a", {})]
    assert segmented(['<tool_call>{"name": '], reader=HERMES)[0] == '<tool_call>{"name": '


def test_without_tools_the_tags_are_text():
    text = '<tool_call>{"name": "a"}</tool_call>'
    assert segmented([text])[0] == text


@given(st.text(), st.lists(st.text("ab<>/think", min_size=1, max_size=4), max_size=3))
def test_the_pieces_are_the_text_up_to_the_stop_string(text, stop):
    pieces = Pieces(decode_bytes, stop=stop)
    deltas = []
    for byte in text.encode():
        deltas += pieces.push(byte)
        if pieces.stopped:
            break
    deltas += pieces.flush()
    shown = "".join(d.text for d in deltas)
    assert text.startswith(shown) or "<think>" in text
    assert all(s not in shown for s in stop)
    if not stop and "<think>" not in text:
        assert shown == text
