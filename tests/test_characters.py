"""What a reader doesn't see is shown by its code, and everything else stays as it is."""

from __future__ import annotations

import json

import pytest
from examples import STRANGE_TEXTS

from workbench.characters import escaped, hidden

UNSEEN = (
    "\0\x07\x1b\x7f\x85\x9b\xad\u034f\u061c\u115f\u1160\u17b4\u180b\u180e\u200b\u200d\u200e\u2028"
    "\u2029\u202a\u202e\u2060\u2066\u2069\u206f\u2800\u3164\ufe0f\ufeff\uffa0\ufff9\ue000\ud800"
    "\U0001d173\U000e0001\U000e0041\U000e007f\U000e0100"
)


@pytest.mark.parametrize("character", UNSEEN, ids=ascii)
def test_what_nobody_sees_is_hidden_and_written_out(character):
    assert hidden(character)
    shown = escaped(f"a{character}b")
    assert shown.isascii()
    assert shown.isprintable()
    assert json.loads(f'"{shown}"') == f"a{character}b"


@pytest.mark.parametrize("character", "a я中ß½💥é́|", ids=ascii)
def test_what_is_seen_stays(character):
    assert not hidden(character)
    assert escaped(character) == character


def test_lines_stay_and_spaces_that_only_look_like_one_do_not():
    assert escaped("a\n\tb\u00a0c\u2003d\r") == "a\n\tb\\u00a0c\\u2003d\\r"


@pytest.mark.parametrize("text", STRANGE_TEXTS.values(), ids=STRANGE_TEXTS)
def test_json_stays_the_same_value(text):
    made = json.dumps({text: [text]}, ensure_ascii=False, indent=2)
    assert json.loads(escaped(made)) == {text: [text]}
    assert escaped(escaped(made)) == escaped(made)
