"""Tokenizers and chat templates in the layouts of the families, for tests of tool calls.

Markers are added tokens where the families have them so. The templates say in little what
the families' own say at length: how tools, calls and results are written.
"""

from __future__ import annotations

from dataclasses import dataclass

import tiny_models

_ASK = "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"

LLAMA_JSON = (
    """\
{%- if tools %}
    {{- 'Environment: ipython\\nRespond in the format {"name": function name, ' }}
    {{- '"parameters": dictionary of argument name and its value}.\\n' }}
    {%- for t in tools %}{{- t | tojson(indent=4) + '\\n\\n' }}{%- endfor %}
{%- endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' }}
    {%- if message.tool_calls %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("This model only supports single tool-calls at once!") }}
        {%- endif %}
        {%- set call = message.tool_calls[0].function %}
        {{- '{"name": "' + call.name + '", "parameters": ' + (call.arguments | tojson) + '}' }}
    {%- else %}{{- message.content }}{%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
"""
    + _ASK
)

LLAMA_FUNCTION = (
    """\
{%- for t in tools or [] %}
    {{- "Use the function '" + t.function.name + "' to: " + t.function.description + '\\n' }}
    {{- '<function=example_function_name>{"example_name": "example_value"}</function>\\n' }}
{%- endfor %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content }}
    {%- for call in message.tool_calls or [] %}
        {{- '<function=' + call.function.name + '>' + call.function.arguments + '</function>' }}
    {%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
"""
    + _ASK
)

MISTRAL_LIST = (
    """\
{%- if tools %}{{- '[AVAILABLE_TOOLS]' + (tools | tojson) + '[/AVAILABLE_TOOLS]' }}{%- endif %}
{%- for message in messages %}
    {%- if message.tool_calls %}
        {{- '[TOOL_CALLS][' }}
        {%- for call in message.tool_calls %}
            {%- if call.id|length != 9 %}
                {{- raise_exception("Tool call IDs should have length 9!") }}
            {%- endif %}
            {{- (call.function | tojson)[:-1] + ', "id": "' + call.id + '"}' }}
            {{- ', ' if not loop.last else ']' }}
        {%- endfor %}
    {%- elif message.role == 'tool' %}
        {%- if message.tool_call_id|length != 9 %}
            {{- raise_exception("Tool call IDs should have length 9!") }}
        {%- endif %}
        {{- '[TOOL_RESULTS]{"content": ' + message.content + ', "call_id": "' }}
        {{- message.tool_call_id + '"}[/TOOL_RESULTS]' }}
    {%- else %}{{- '<|im_start|>' + message.role + '\\n' + message.content }}{%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
"""
    + _ASK
)

MISTRAL_ARGS = (
    """\
{%- if tools %}{{- '[AVAILABLE_TOOLS]' + (tools | tojson) + '[/AVAILABLE_TOOLS]' }}{%- endif %}
{%- for message in messages %}
    {%- if message.tool_calls %}
        {%- for call in message.tool_calls %}
            {%- if call.id|length != 9 %}
                {{- raise_exception("Tool call IDs should have length 9!") }}
            {%- endif %}
            {{- '[TOOL_CALLS]' + call.function.name + '[CALL_ID]' + call.id }}
            {{- '[ARGS]' + (call.function.arguments | tojson) }}
        {%- endfor %}
    {%- else %}{{- '<|im_start|>' + message.role + '\\n' + message.content }}{%- endif %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
"""
    + _ASK
)

QWEN_XML = (
    """\
{%- for t in tools or [] %}
    {{- '<function>\\n<name>' + t.function.name + '</name>\\n<parameters>' }}
    {{- (t.function.parameters | tojson) + '</parameters>\\n</function>\\n' }}
    {{- '<tool_call>\\n<function=example_function_name>\\n<parameter=example_parameter_1>\\n' }}
    {{- 'value_1\\n</parameter>\\n</function>\\n</tool_call>\\n' }}
{%- endfor %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content }}
    {%- for call in message.tool_calls or [] %}
        {{- '\\n<tool_call>\\n<function=' + call.function.name + '>\\n' }}
        {%- for key, value in call.function.arguments | items %}
            {{- '<parameter=' + key + '>\\n' + (value | string) + '\\n</parameter>\\n' }}
        {%- endfor %}
        {{- '</function>\\n</tool_call>' }}
    {%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
"""
    + _ASK
)

JSON = (
    """\
{%- if tools %}
    {{- 'Call tools by {"name": the tool, "arguments": an object}.' + (tools | tojson) }}
{%- endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
"""
    + _ASK
)

PLAIN = (
    """\
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
"""
    + _ASK
)

THINKING = ("<think>", "</think>")


@dataclass(frozen=True)
class Family:
    """A family's chat template, and the tokens it adds to the vocabulary."""

    template: str
    markers: tuple[str, ...]


FAMILIES = {
    "hermes": Family(tiny_models.CHAT_TEMPLATE, tiny_models.MARKERS),
    "qwen-xml": Family(QWEN_XML, tiny_models.MARKERS),
    "llama-json": Family(LLAMA_JSON, ("<|python_tag|>", "<|eom_id|>")),
    "llama-function": Family(LLAMA_FUNCTION, ("<|python_tag|>", "<|eom_id|>")),
    "mistral-list": Family(MISTRAL_LIST, ("[TOOL_CALLS]", "[AVAILABLE_TOOLS]", *THINKING)),
    "mistral-args": Family(MISTRAL_ARGS, ("[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", *THINKING)),
    "json": Family(JSON, ()),
}
"""One of each form in `tool_forms.FORMS`, by its name."""
