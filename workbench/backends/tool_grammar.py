"""Grammars of answers with tool calls, in the form of a model: Lark, as llguidance has it.

    start: lead (call)* text        # "auto" in a form with an opening
    start: lead call                # "required", where one answer holds one call

Whatever `tool_calls.py` would read as a call must have been bound here. So an opening binds
what follows it also where a model spells it out in letters instead of its special token, and
an answer in a form without opening may not begin like a call unless it is one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.backends.argument_schema import bounded
from workbench.backends.plain_schema import DEFINITIONS
from workbench.backends.tool_calls import CLOSED, resolved, text_valued
from workbench.errors import BackendError
from workbench.models.tool_forms import BLANK, CALL_ID, PYTHON_TAG, THINK, THINK_END, ToolForm
from workbench.records import NamedTool, Tool, ToolChoice

MOST_CALLS = 8
"""Calls of one answer that must call."""

_ECMA = {"d": "[0-9]", "w": "[A-Za-z0-9_]"}
"""What JSON Schema's regexes (ECMA-262) mean by these, and Rust's do not."""

_OF_ARGUMENTS = {"type", "properties", "required", "additionalProperties", "$defs", "definitions"}
_OF_TEXT = {"type", "minLength", "maxLength", "pattern"}

_BLANK = json.dumps(BLANK)[1:-1]
"""`BLANK` within the brackets of a regex."""

_CLOSED = CLOSED.replace("/", r"\/")
"""The tag that ends an argument in XML, as a regex."""

_SIMPLE_NAME = re.compile(r"[^\s<>{}\[\]\"]{1,128}")


class ToolGrammar:
    """Writes the grammars of one model.

    `special` gives the ids of tokens that no text matches; `style` how JSON is written.
    """

    def __init__(self, form: ToolForm, special: Mapping[str, int], style: dict[str, Any]) -> None:
        self._form = form
        self._special = special
        self._style = style

    def lark(
        self, tools: Sequence[Tool], choice: ToolChoice, longest: int, *, thinking: bool
    ) -> str:
        """The grammar of an answer; see `Grammars.tools`."""
        rules = _Rules()
        lead = self._lead(thinking)
        if choice == "none":
            return f"start: {lead} TEXT\n{self._thoughts()}"
        if isinstance(choice, NamedTool):
            tools = [tool for tool in tools if tool.name == choice.name]
        calls = [self._call(tool, longest, rules) for tool in tools]
        rules.add("any_call", " | ".join(calls))
        forced = choice != "auto"
        most = MOST_CALLS if self._form.several and not isinstance(choice, NamedTool) else 1
        body = self._body("any_call", most)
        if not self._form.opening:
            start = "called" if forced else "PLAIN | called"
            tag = f"({self._mark(PYTHON_TAG)})? " if PYTHON_TAG in self._special else ""
            rules.add("called", f"{tag}{body}")
            begins = "|".join(re.escape(mark) for mark in ("{", THINK, PYTHON_TAG))
            rules.add("PLAIN", f"/(?s:.*)/ & ~/[{_BLANK}]*({begins})(?s:.*)/")
        else:
            opened = self._mark(self._form.opening)
            rules.add("call", f"{opened} {body}")
            token = "TEXT call | " if self._form.opening in self._special else ""
            rules.add("told", f"{token}opening {body}")
            rules.add("opening[lazy]", f"TEXT {_quoted(self._form.opening)}")
            if forced:
                alone = most == 1 or self._form.layout == "list"
                start = "call" if alone else f"call (/\\n?/ call){{0,{most - 1}}}"
            else:
                start = "told* TEXT" if self._form.several else "TEXT | told"
        return f"start: {lead} ({start})\n{rules}{self._thoughts()}"

    # --- thinking ---------------------------------------------------------

    def _lead(self, thinking: bool) -> str:
        """Thoughts before the answer: due where the prompt began them."""
        if thinking:
            return "thought GAP"
        return f"({self._mark(THINK)} thought GAP)?" if THINK in self._special else ""

    def _thoughts(self) -> str:
        """The end of a thought may be a token of its own, and is one also in letters."""
        ends = ["thought_text"]
        if THINK_END in self._special:
            ends.append(f"TEXT {self._mark(THINK_END)}")
        return (
            f"thought: {' | '.join(ends)}\n"
            f"thought_text[lazy]: TEXT {_quoted(THINK_END)}\n"
            "GAP: /[ \\n]{0,4}/\nTEXT: /(?s:.*)/\n"
            "BYTES: ~/[^\\s\\S]/\n"
        )

    # --- calls ------------------------------------------------------------

    def _mark(self, text: str) -> str:
        """A mark as its token, where it is one."""
        return f"<[{self._special[text]}]>" if text in self._special else _quoted(text)

    def _body(self, call: str, most: int) -> str:
        """What follows an opening, to the end of the call (of the list, of `most` calls)."""
        match self._form.layout:
            case "object" if self._form.opening:
                return f'"\\n" {call} "\\n" {self._mark(self._form.closing)}'
            case "object":
                return call
            case "list":
                more = f'(", " {call}){{0,{most - 1}}}' if most > 1 else ""
                return f'/ ?/ "[" {call} {more} "]"'
            case "named":
                return f"{call} {self._mark(self._form.closing)}" if self._form.closing else call
            case "xml":
                return f'"\\n" {call} "\\n" {self._mark(self._form.closing)}'

    def _call(self, tool: Tool, longest: int, rules: _Rules) -> str:
        """The name of a new rule for a call of `tool`."""
        schema = bounded(tool.parameters, longest)
        if self._form.layout == "xml":
            return self._xml(tool, schema, rules)
        if self._form.layout == "named":
            self._check_name(tool.name)
            id = f"({self._mark(CALL_ID)} /[A-Za-z0-9]{{9}}/)? " if CALL_ID in self._special else ""
            between = f"{id}{self._mark(self._form.separator)}"
            return rules.new(f"{_quoted(tool.name)} {between} {self._json(schema)}")
        name = json.dumps(tool.name, ensure_ascii=False)
        head = _quoted(f'{{"name": {name}, "{self._form.key}": ')
        return rules.new(f'{head} {self._json(schema)} "}}"')

    def _xml(self, tool: Tool, schema: Mapping[str, Any], rules: _Rules) -> str:
        """One tag for each argument, in the order of the schema, optional ones left out at will."""
        self._check_name(tool.name)
        required, named = schema.get("required", ()), schema.get("properties", {})
        known = set(_OF_ARGUMENTS)
        if schema.get("maxProperties", 0) >= len(named):  # of others none is written
            known.add("maxProperties")
        self._check_keywords(tool, schema, known)
        if schema["type"] != "object":
            raise self._not_in_xml(tool, f"arguments of type {schema['type']}")
        if not set(required) <= set(named):
            raise self._not_in_xml(tool, "required arguments without a schema")
        tags = []
        for key, field in named.items():
            if field is False:
                continue
            self._check_name(key)
            value = self._xml_value(tool, field, schema, rules)
            tag = f'{_quoted(f"<parameter={key}>")} "\\n" {value}'
            rule = rules.new(tag)
            tags.append(rule if key in required else f"{rule}?")
        head = _quoted(f"<function={tool.name}>\n")
        return rules.new(f'{head} {" ".join(tags)} "</function>"')

    def _xml_value(self, tool: Tool, field: Any, schema: Mapping[str, Any], rules: _Rules) -> str:
        """Text as it is, everything else as JSON; with the closing tag and a newline."""
        after = _quoted(f"\n{CLOSED}\n")
        definitions = {key: schema[key] for key in DEFINITIONS if key in schema}
        if not text_valued(field, schema):
            return f"{self._json({**field, **definitions})} {after}"
        field = resolved(field, schema)
        if "const" in field or "enum" in field:
            self._check_keywords(tool, field, {"type", "const", "enum"})
            listed = field.get("enum", [field.get("const")])
            values = [value for value in listed if value == field.get("const", value)]
            if not values:
                raise self._not_in_xml(tool, "a choice among nothing")
            if any(CLOSED in value for value in values):
                raise self._not_in_xml(tool, "a choice of its closing tag")
            return f"({' | '.join(_quoted(value) for value in values)}) {after}"
        self._check_keywords(tool, field, _OF_TEXT)
        least, most = field.get("minLength", 0), field.get("maxLength", "")
        if "pattern" in field:
            text = _matching(self._whole(tool, field["pattern"]), least, most)
        else:
            text = _any_text(least, most)
        return f'{rules.lazy(text)} "\\n"'

    def _whole(self, tool: Tool, pattern: str) -> str:
        """A pattern, which is searched for, as a regex of the whole text."""
        ends = pattern.endswith("$") and not pattern.endswith("\\$")
        inner = pattern.removeprefix("^")[: -1 if ends else None]
        depth = 0
        for piece in re.finditer(r"\\.|\[(?:\\.|[^\]])*\]|[()|^$]", inner):
            depth += {"(": 1, ")": -1}.get(piece[0], 0)
            if piece[0] in "^$" or (piece[0] == "|" and depth == 0):
                raise self._not_in_xml(tool, f"the pattern {pattern}")
        inner = re.sub(r"\\(.)", lambda escape: _ECMA.get(escape[1], escape[0]), inner)
        inner = re.sub(r"(?<!\\)/", r"\/", inner)
        before = "" if pattern.startswith("^") else "(?s:.*)"
        after = "" if ends else "(?s:.*)"
        return f"{before}({inner}){after}"

    def _json(self, schema: Mapping[str, Any]) -> str:
        return f"%json {json.dumps({**schema, 'x-guidance': self._style})}"

    def _check_name(self, name: str) -> None:
        if not _SIMPLE_NAME.fullmatch(name):
            raise BackendError(
                f"The name {name!r} can't be written in this model's form of tool calls "
                f"({self._form.name})",
                "Use letters, digits, - and _",
            )

    def _check_keywords(self, tool: Tool, schema: Mapping[str, Any], known: set[str]) -> None:
        """JSON leaves it to llguidance to refuse a keyword; this form has to do so itself."""
        if others := sorted(set(schema) - known):
            raise self._not_in_xml(tool, f"the keywords {', '.join(others)}")

    def _not_in_xml(self, tool: Tool, what: str) -> BackendError:
        return BackendError(
            f"The schema of {tool.name} can't be enforced in this model's form of tool calls "
            f"({self._form.name}): {what}",
            "Simplify it, or use a model that writes calls as JSON",
        )


class _Rules:
    """Rules of a grammar, each under a name of its own."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, name: str, body: str) -> None:
        self._lines.append(f"{name}: {body}\n")

    def new(self, body: str) -> str:
        name = f"rule_{len(self._lines)}"
        self.add(name, body)
        return name

    def lazy(self, body: str) -> str:
        name = f"rule_{len(self._lines)}"
        self.add(f"{name}[lazy]", body)
        return name

    def __str__(self) -> str:
        return "".join(self._lines)


# Text in XML ends at its first closing tag, and a newline before that is not part of it: that is
# how the reader takes it. What may not follow is said in BYTES: that nothing is left of a text is
# then plain at once, and need not be tried out up to its bound.


def _any_text(least: int, most: int | str) -> str:
    """Text of a length, with its closing tag: the body of a lazy rule."""
    text = f"/(?s:.){{{least},{most}}}\\n?{_CLOSED}/"
    if least:
        text += f" & ~(/(?s:.){{0,{least - 1}}}\\n?{_CLOSED}/ BYTES)"
    return text


def _matching(pattern: str, least: int, most: int | str) -> str:
    """Text of a length that is all of `pattern`, with a newline and its closing tag."""
    ending = len(f"\n{CLOSED}")
    size = f"{least + ending},{most + ending if isinstance(most, int) else ''}"
    return f"/({pattern})\\n{_CLOSED}/ & /(?s:.){{{size}}}/ & ~(/(?s:.*){_CLOSED}(?s:.)/ BYTES)"


def _quoted(text: str) -> str:
    """A literal of Lark: a JSON string."""
    return json.dumps(text)
