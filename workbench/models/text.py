"""Text to tokens and back: one tokenizer and one chat template for every runtime.

Prompts are rendered here and nowhere else, for training and for all runtimes,
so that token ids are equal everywhere. Built on `tokenizers` and `jinja2`; it
renders as `transformers` does (a test compares them) without needing it. It
knows nothing about weights.

Templates come from model files and are untrusted: they run in jinja2's
immutable sandbox and see plain JSON data only. That is no boundary against a
template that loops for ever.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from workbench.errors import ModelError
from workbench.models import tool_prompt
from workbench.models.find import read_json
from workbench.models.quoting import MARK, Quoting, without_marks
from workbench.models.tool_forms import ToolForm, form_of
from workbench.records import Message, Tool, ToolCall, conversation

if TYPE_CHECKING:
    from jinja2 import Environment, Template

_MARK_ESCAPED = json.dumps(MARK)[1:-1]
_SPECIAL = tuple(f"{kind}_token" for kind in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))


class Tokenizer:
    """The tokenizer and chat template in a model's folder.

        tokenizer = Tokenizer(folder)
        ids = tokenizer.prompt_ids([Message("user", "Hello")])
        tokenizer.decode(ids)

    Needs `tokenizer.json`; reads `tokenizer_config.json`, `chat_template.jinja`,
    `generation_config.json` (or `genai_config.json`, `config.json`) where they are.
    """

    def __init__(self, folder: Path) -> None:
        """Raises ModelError when the folder's tokenizer is missing or damaged."""
        from tokenizers import Tokenizer as Backend

        self.path = Path(folder)
        file = self.path / "tokenizer.json"
        if not file.is_file():
            raise ModelError(
                f"{self.path} holds no tokenizer.json", "Give a model folder with its tokenizer"
            )
        try:
            self._backend = Backend.from_file(str(file))
        except Exception as error:  # tokenizers raises bare Exception
            raise ModelError(f"{file} is damaged ({error})", "Copy the model again") from error
        self._backend.no_padding()
        self._backend.no_truncation()
        self._config = self._optional("tokenizer_config.json")
        self._compiled: dict[str, Template] = {}

    @cached_property
    def size(self) -> int:
        """Number of tokens, added ones included (a model may pad its vocabulary beyond it)."""
        return int(self._backend.get_vocab_size(with_added_tokens=True))

    @cached_property
    def fingerprint(self) -> str:
        """sha256 (hex) of all that decides the ids of a prompt: tokenizer and templates."""
        parts = (self._backend.to_str(), self._templates, self._special)
        return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()

    @cached_property
    def eos_ids(self) -> frozenset[int]:
        """Ids of the tokens that end an answer."""
        stated = (
            self._optional("generation_config.json")
            or self._optional("genai_config.json").get("model")
            or self._optional("config.json")
        )
        ids = _as_ids(stated.get("eos_token_id"))
        if "eos_token" in self._special:
            ids += _as_ids(self._backend.token_to_id(self._special["eos_token"]))
        return frozenset(ids)

    def encode(self, text: str) -> list[int]:
        """Ids of `text`; special tokens written in it are parsed, none are added."""
        return list(self._backend.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Text of `ids`, special tokens written out; incomplete UTF-8 shows as U+FFFD."""
        return str(self._backend.decode(list(ids), skip_special_tokens=False))

    def render(
        self,
        messages: Sequence[Message] | str,
        tools: Sequence[Tool] = (),
        *,
        add_generation_prompt: bool = True,
    ) -> str:
        """The conversation as the model's chat template writes it, to be read by people.

        With `add_generation_prompt` it ends where the model's answer begins. A template
        that knows nothing of tools gets them, calls and results as plain text; see
        tool_prompt.py. Raises ModelError when there is no template or when it refuses
        the messages.
        """
        return self._written(conversation(messages), tools, add_generation_prompt)

    def prompt_ids(
        self,
        messages: Sequence[Message] | str,
        tools: Sequence[Tool] = (),
        *,
        add_generation_prompt: bool = True,
    ) -> list[int]:
        """Ids of the conversation as the chat template writes it.

        Special tokens come from the template alone; those that messages and tools spell
        are read as words (quoting.py). Raises ModelError as `render` does.
        """
        turns = self._quoting.messages(conversation(messages))
        text = self._written(turns, self._quoting.tools(tools), add_generation_prompt)
        read = self._backend.encode(text, add_special_tokens=False)
        return without_marks(read.ids, read.offsets, text) if MARK in text else list(read.ids)

    def _written(self, turns: Sequence[Message], tools: Sequence[Tool], ask: bool) -> str:
        if (tools or _of_tools(turns)) and not self.knows_tools:
            turns, tools = tool_prompt.spelled_out(turns, tools, self.tool_form), ()
        return self._render(turns, tools, ask)

    def _render(self, turns: Sequence[Message], tools: Sequence[Tool], ask: bool) -> str:
        from jinja2 import TemplateError

        try:
            return self._template(bool(tools)).render(
                messages=[self._message(m) for m in turns],
                tools=[_tool(t) for t in tools] or None,
                documents=None,
                add_generation_prompt=ask,
                **self._special,
            )
        except (TemplateError, TypeError, ValueError, KeyError) as error:
            raise ModelError(
                f"The model's chat template refused the messages ({error})",
                "Change their roles or order to what the model was trained on",
            ) from error

    # --- tools ------------------------------------------------------------

    @cached_property
    def tool_form(self) -> ToolForm:
        """The form in which the model writes tool calls, as far as it can be told."""
        template = self._templates.get("tool_use") or self._templates.get("default", "")
        return form_of(template, self.added_tokens)

    @cached_property
    def added_tokens(self) -> dict[str, int]:
        """Tokens added to the vocabulary, special ones among them, and their ids."""
        decoder = self._backend.get_added_tokens_decoder()
        return {token.content: id for id, token in decoder.items()}

    @cached_property
    def _quoting(self) -> Quoting:
        decoder = self._backend.get_added_tokens_decoder()
        special = {token.content for token in decoder.values() if token.special}
        return Quoting(special, self.added_tokens)

    @cached_property
    def knows_tools(self) -> bool:
        """Whether the chat template writes tools out: it is tried, with a name to look for."""
        probe = Tool("probe_of_tools", "", {"type": "object", "properties": {}})
        try:
            return probe.name in self._render((Message("user", "Hi"),), (probe,), True)
        except ModelError:
            return False

    def _message(self, message: Message) -> dict[str, Any]:
        """A message as chat templates expect it (the layout of transformers)."""
        plain: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.tool_calls:
            plain["tool_calls"] = [self._call(call) for call in message.tool_calls]
        if message.tool_call_id is not None:
            plain["tool_call_id"] = self.tool_form.fitting_id(message.tool_call_id)
        return plain

    def _call(self, call: ToolCall) -> dict[str, Any]:
        form = self.tool_form
        arguments = call.arguments if form.text_arguments else _arguments(call.arguments)
        function = {"name": call.name, "arguments": arguments}
        return {"id": form.fitting_id(call.id), "type": "function", "function": function}

    # --- the files --------------------------------------------------------

    @cached_property
    def _special(self) -> dict[str, str]:
        """Named special tokens, such as eos_token, as text."""
        named = {}
        for name in _SPECIAL:
            token = self._config.get(name)
            if isinstance(token, dict):
                token = token.get("content")
            if token:
                named[name] = str(token)
        return named

    @cached_property
    def _templates(self) -> dict[str, str]:
        """Chat templates by name; the usual one is "default"."""
        file = self.path / "chat_template.jinja"
        if file.is_file():
            return {"default": file.read_text(encoding="utf-8")}
        template = self._config.get("chat_template")
        if isinstance(template, list):
            return {entry["name"]: entry["template"] for entry in template}
        return {"default": template} if template else {}

    def _template(self, with_tools: bool) -> Template:
        name = "tool_use" if with_tools and "tool_use" in self._templates else "default"
        if name not in self._templates:
            raise ModelError(
                f"The model in {self.path} has no chat template",
                "Use an instruction-tuned model, or put a chat_template.jinja beside its tokenizer",
            )
        if name not in self._compiled:
            self._compiled[name] = _environment().from_string(self._templates[name])
        return self._compiled[name]

    def _optional(self, name: str) -> dict[str, Any]:
        return read_json(self.path / name) if (self.path / name).is_file() else {}


def _as_ids(value: int | Iterable[int] | None) -> list[int]:
    if value is None:
        return []
    return [value] if isinstance(value, int) else list(value)


def _of_tools(messages: Sequence[Message]) -> bool:
    return any(message.tool_calls or message.role == "tool" for message in messages)


def _arguments(text: str) -> Any:
    """Arguments as an object; a model may have written something else, which stays text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _tool(tool: Tool) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    return {"type": "function", "function": function}


def _environment() -> Environment:
    """jinja2 set up as transformers sets it up (utils/chat_template_utils.py there)."""
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}` marks answers for loss masks; here it only passes its body on."""

        tags = {"generation"}  # noqa: RUF012 (jinja2 declares it on the instance)

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(
        value: Any,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        return json.dumps(
            value,
            ensure_ascii=ensure_ascii,
            indent=indent,
            separators=separators,
            sort_keys=sort_keys,
        ).replace(_MARK_ESCAPED, MARK)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda format: datetime.now().strftime(format)
    return environment
