"""How models write tool calls: a table of the forms that the families document.

    form = form_of(template, added_tokens)      # FORMS["hermes"], ...
    form.opening                                # what a call begins with

Facts only. backends/constraint.py makes grammars of them, backends/tool_calls.py reads calls
by them, tool_prompt.py spells calls out for templates that can't. It knows nothing about
tokenizers or runtimes. Forms that no template asks for stay text: calls of Llama's
built-in tools (`<|python_tag|>name.call(...)`), and its lists of Python calls (`[name(a=1)]`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from workbench.records import content_id

Layout = Literal["object", "list", "named", "xml"]
"""What stands between opening and closing: one JSON object, a JSON list of them, a name before
the JSON of its arguments, or a tag for each argument."""

THINK, THINK_END = "<think>", "</think>"
PYTHON_TAG = "<|python_tag|>"
CALL_ID = "[CALL_ID]"
BLANK = " \t\n\r"
"""What may stand before a call or a thought: JSON's white space, and nothing that only one of
Python and a grammar would count as such."""


@dataclass(frozen=True)
class ToolForm:
    """One way to write calls.

    `opening` begins a call wherever it stands in an answer; "" means that a call is the whole
    answer, without a mark (but perhaps after `PYTHON_TAG`). `separator` stands between the name
    and its arguments where the layout is "named". `several` says whether one answer may hold
    more than one call. `text_arguments`: the templates want arguments as JSON text, not as an
    object. `id_length`: the templates want ids of so many letters and digits (0: of any kind).
    """

    name: str
    layout: Layout
    opening: str
    closing: str
    key: str = "arguments"
    separator: str = ""
    several: bool = True
    text_arguments: bool = False
    id_length: int = 0

    def fitting_id(self, id: str) -> str:
        """`id` as the templates of this form take it: itself, or one made from it."""
        if not self.id_length or re.fullmatch(rf"[A-Za-z0-9]{{{self.id_length}}}", id):
            return id
        return content_id(id, length=self.id_length)


FORMS = {
    form.name: form
    for form in (
        # NousResearch Hermes 2 Pro and 3, Qwen 2.5 and 3: their chat templates.
        ToolForm("hermes", "object", "<tool_call>", "</tool_call>"),
        # Qwen3-Coder and Qwen 3.5: their chat templates.
        ToolForm("qwen-xml", "xml", "<tool_call>", "</tool_call>"),
        # Llama 3.1 to 3.3: "JSON based tool calling" of Meta's prompt format and the chat
        # templates, which take one call at a time.
        ToolForm("llama-json", "object", "", "", key="parameters", several=False),
        # Llama 3.1 to 3.3: "<function> based tool calling" of the same page.
        ToolForm(
            "llama-function",
            "named",
            "<function=",
            "</function>",
            separator=">",
            several=False,
            text_arguments=True,
        ),
        # Mistral, tokenizers v3 and v7 (7B v0.3, Nemo, Small 3.1): mistral-common.
        ToolForm("mistral-list", "list", "[TOOL_CALLS]", "", id_length=9),
        # Mistral, tokenizers v11 and v13 (Small 3.2, Magistral): mistral-common.
        ToolForm("mistral-args", "named", "[TOOL_CALLS]", "", separator="[ARGS]", id_length=9),
        # ChatML models taught to answer with bare JSON.
        ToolForm("json", "object", "", "", several=False),
    )
}
"""Forms by name."""

DEFAULT = FORMS["hermes"]
"""For models that were taught none, or none that is known here: the commonest."""

# What gives a form away in a chat template, the most telling first.
_IN_TEMPLATES = (
    (r"\[TOOL_CALLS\].*\[ARGS\]", "mistral-args"),
    (r"\[TOOL_CALLS\]", "mistral-list"),
    (r"<function=.*<parameter=", "qwen-xml"),
    (r"<tool_call>", "hermes"),
    (r"<function=|<\{start_tag\}=\{function_name\}>", "llama-function"),
    (r"""\{\\*"name\\*": [^}]{0,80}\\*"parameters\\*":""", "llama-json"),
    (r"""\{\\*"name\\*": [^}]{0,80}\\*"arguments\\*":""", "json"),
)
_IN_TOKENS = (
    ({"[TOOL_CALLS]", "[ARGS]"}, "mistral-args"),
    ({"[TOOL_CALLS]"}, "mistral-list"),
    ({"<tool_call>"}, "hermes"),
    ({PYTHON_TAG}, "llama-json"),
)


def form_of(template: str, added_tokens: Iterable[str]) -> ToolForm:
    """The form that a chat template (the one used with tools) speaks of.

    Where it speaks of none, the tokenizer's added tokens decide, and then `DEFAULT`.
    """
    for pattern, name in _IN_TEMPLATES:
        if re.search(pattern, template, re.DOTALL):
            return FORMS[name]
    tokens = set(added_tokens)
    for marks, name in _IN_TOKENS:
        if marks <= tokens:
            return FORMS[name]
    return DEFAULT
