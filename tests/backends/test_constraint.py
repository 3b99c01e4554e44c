"""Grammars: what they allow, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.backends.constraint import Grammars
from workbench.errors import BackendError
from workbench.models import Tokenizer
from workbench.records import Tool

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
TOOL = Tool("hire", "Hire somebody.", PERSON)


@pytest.fixture(scope="module")
def tokenizer(tiny_qwen3) -> Tokenizer:
    return Tokenizer(tiny_qwen3)


@pytest.fixture(scope="module")
def grammars(tokenizer) -> Grammars:
    return Grammars(tokenizer)


def allowed(constraint, tokenizer, text):
    """Whether each token of `text` may follow the one before; the constraint moves along."""
    for token in tokenizer.encode(text):
        row = constraint.mask(np.zeros(tokenizer.size, np.float32))
        if row[token] == -np.inf:
            return False
        constraint.accept(token)
    return True


def test_json_of_the_schema_is_allowed_and_finishes(grammars, tokenizer):
    constraint = grammars.schema(PERSON)
    assert allowed(constraint, tokenizer, '{"name": "Жанна", "age": 41}')
    assert constraint.finished


@pytest.mark.parametrize("text", ["Sure!", '{"age"', '{"name": 7', '{"name": "A", "age": "x'])
def test_anything_else_is_not(grammars, tokenizer, text):
    assert not allowed(grammars.schema(PERSON), tokenizer, text)


def test_the_end_of_the_turn_may_not_come_before_the_json_is_whole(grammars, tokenizer):
    row = grammars.schema(PERSON).mask(np.zeros(tokenizer.size, np.float32))
    assert all(row[i] == -np.inf for i in tokenizer.eos_ids)


def test_tokens_beyond_the_tokenizer_are_forbidden(grammars, tokenizer):
    row = grammars.tools([TOOL]).mask(np.zeros(tokenizer.size + 40, np.float32))
    assert (row[tokenizer.size :] == -np.inf).all()


def test_tools_leave_text_free_and_bind_the_calls(grammars, tokenizer):
    call = '<tool_call>\n{"name": "hire", "arguments": {"name": "Al", "age": 3}}\n</tool_call>'
    assert allowed(grammars.tools([TOOL]), tokenizer, "Of course. No call here: 3 < 4.")
    assert allowed(grammars.tools([TOOL]), tokenizer, f"Gladly.\n{call}\n{call} Done.")
    thought = f"<think>\nWho?\n</think>\n\n{call}"
    assert allowed(grammars.tools([TOOL]), tokenizer, thought)
    wrong = call.replace("hire", "fire")
    assert not allowed(grammars.tools([TOOL]), tokenizer, wrong)
    assert not allowed(grammars.tools([TOOL]), tokenizer, call.replace("3", '"three"'))


def test_a_schema_that_is_none_is_refused_with_the_reason(grammars):
    with pytest.raises(BackendError, match="can't be enforced"):
        grammars.schema({"type": "person"})
    with pytest.raises(BackendError, match="not JSON"):
        grammars.schema({"type": object()})
