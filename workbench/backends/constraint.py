"""Answers of a required form: JSON Schema and tool calls, the same in every runtime.

`llguidance` turns a grammar and the tokens so far into the set of tokens that
may follow; the logits of all others become -inf before the sampler sees them.
One grammar engine over our own logits, instead of GBNF in llama.cpp and
guidance in ONNX Runtime GenAI, so that a schema means the same everywhere.

It does not make an answer good, and an answer cut off at `max_tokens` is not whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench.backends.tool_grammar import ToolGrammar
from workbench.errors import BackendError, MissingLibrary
from workbench.models import Tokenizer
from workbench.records import NamedTool, Tool, ToolChoice

if TYPE_CHECKING:
    from llguidance import LLMatcher

# One line, as json.dumps writes it: small models lose themselves in free whitespace. What can't
# be enforced is an error, whatever the schema itself asks for.
JSON_STYLE: Any = {
    "whitespace_flexible": False,
    "item_separator": ", ",
    "key_separator": ": ",
    "lenient": False,
    "coerce_one_of": False,
    # Not \u: a key could be spelled with it that the schema leaves out as it stands.
    "json_allowed_escapes": 'nrbtf\\"',
}


def not_offered(tool: Tool, error: BackendError) -> BackendError:
    """What is said of a tool for whose calls there is no grammar."""
    return BackendError(f"The tool {tool.name} can't be offered: {error.fact}", error.remedy)


class Constraint:
    """What may follow in one answer.

    constraint.mask(logits)     # a copy, -inf where a token is forbidden
    constraint.accept(token)
    constraint.finished         # nothing more may follow
    """

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher
        self._raise_error()

    @property
    def finished(self) -> bool:
        """Whether the answer is whole and can't be continued."""
        return bool(self._matcher.is_stopped())

    def mask(self, logits: np.ndarray) -> np.ndarray:
        """Logits [vocabulary] with -inf for every token that may not follow."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        self._raise_error()
        allowed = np.zeros(len(logits), dtype=bool)
        unpacked = np.unpackbits(bits, bitorder="little")[: len(logits)]
        allowed[: len(unpacked)] = unpacked
        return np.where(allowed, logits, np.float32(-np.inf))

    def accept(self, token: int) -> None:
        """Move on by the token that was drawn."""
        self._matcher.consume_token(token)
        self._raise_error()

    def _raise_error(self) -> None:
        if self._matcher.is_error():
            reason = self._matcher.get_error().strip().splitlines()[0]
            raise BackendError(
                f"The schema can't be enforced ({reason})",
                "Simplify it: the keywords that are known stand in "
                "https://github.com/guidance-ai/llguidance/blob/main/docs/json_schema.md",
            )


class Grammars:
    """Makes constraints for one tokenizer.

    Raises MissingLibrary where llguidance isn't installed. Building the
    tokenizer's trie takes about 0.3 s for 49,152 tokens.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        try:
            from llguidance import LLTokenizer
        except ImportError as error:
            raise MissingLibrary("llguidance", "Constrained output") from error
        self._tokenizer = LLTokenizer(
            str(tokenizer.path / "tokenizer.json"), eos_token=sorted(tokenizer.eos_ids)
        )
        self._tools = ToolGrammar(tokenizer.tool_form, self._special(tokenizer), JSON_STYLE)

    def schema(self, schema: Mapping[str, Any]) -> Constraint:
        """The whole answer is JSON of `schema`."""
        from llguidance import LLMatcher

        try:
            grammar = LLMatcher.grammar_from_json_schema(
                json.dumps(dict(schema)), overrides=JSON_STYLE
            )
        except (TypeError, ValueError) as error:
            raise BackendError(
                f"The schema is not JSON ({error})", "Give a JSON Schema object"
            ) from error
        return Constraint(LLMatcher(self._tokenizer, grammar, log_level=0))

    def tools(
        self,
        tools: Sequence[Tool],
        choice: ToolChoice = "auto",
        *,
        longest: int = 4096,
        thinking: bool = False,
    ) -> Constraint:
        """An answer in which every tool call is one of `tools` with arguments of its schema.

        `longest` is how many characters a string may have to which a schema sets no
        bound; see argument_schema.py. `thinking` says that the prompt ended inside
        `<think>`. Raises BackendError for schemas that can't be enforced; it names the tool.
        """
        try:
            return self._calls(tools, choice, longest, thinking=thinking)
        except BackendError:
            named = choice.name if isinstance(choice, NamedTool) else None
            for tool in tools:
                if named in (None, tool.name) and (error := self._refused(tool, longest)):
                    raise error from None
            raise

    def refused(self, tools: Sequence[Tool], *, longest: int = 4096) -> dict[str, BackendError]:
        """Those of `tools` with which `tools()` would fail: name -> why."""
        try:
            self._calls(tools, "required", longest)
        except BackendError:
            errors = {tool.name: self._refused(tool, longest) for tool in tools}
            return {name: error for name, error in errors.items() if error is not None}
        return {}

    def _refused(self, tool: Tool, longest: int) -> BackendError | None:
        """Why `tool` can't be offered, if it can't."""
        try:
            self._calls([tool], "required", longest)
        except BackendError as error:
            return not_offered(tool, error)
        return None

    def _calls(
        self, tools: Sequence[Tool], choice: ToolChoice, longest: int, *, thinking: bool = False
    ) -> Constraint:
        from llguidance import LLMatcher

        grammar = self._tools.lark(tools, choice, longest, thinking=thinking)
        return Constraint(LLMatcher(self._tokenizer, grammar, log_level=0))

    def _special(self, tokenizer: Tokenizer) -> dict[str, int]:
        """Ids of the added tokens. llguidance counts all of them as special, whatever the
        tokenizer says, and text never matches those: a grammar names them by id."""
        return {
            text: id
            for text, id in tokenizer.added_tokens.items()
            if self._tokenizer.is_special_token(id)
        }
