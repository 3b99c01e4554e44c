"""What counts as the same prompt and the same answer.

Two texts that differ only in Unicode form or white space are one text here.
This module knows nothing about meaning: a paraphrase is another text.
"""

from __future__ import annotations

import unicodedata

from workbench.records import Completion, Message, Prompt


def normalise(text: str) -> str:
    """`text` in Unicode form NFC, runs of white space as one space, none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def words(text: str) -> int:
    """Number of words, split at white space; the length used wherever lengths are compared."""
    return len(text.split())


def prompt_key(prompt: Prompt) -> str:
    """The whole conversation, normalised: equal for prompts that a model can't tell apart."""
    return "\n".join(_turn(message) for message in prompt.messages)


def question_key(prompt: Prompt) -> str:
    """What was asked, whatever the system prompt and letter case; "" where nothing was."""
    said = [message for message in prompt.messages if message.role != "system"]
    if not any(normalise(message.content) or message.tool_calls for message in said):
        return ""
    return unicodedata.normalize("NFKC", "\n".join(map(_turn, said))).casefold()


def asked(prompt: Prompt) -> str:
    """The texts of a conversation without its system prompt, and without who said what."""
    return "\n".join(message.content for message in prompt.messages if message.role != "system")


def answer_key(completion: Completion) -> str:
    """Text and tool calls of an answer, normalised. Case counts: "paris" is not "Paris"."""
    calls = [f"{call.name}({normalise(call.arguments)})" for call in completion.tool_calls]
    return "\n".join([normalise(completion.text), *calls])


def _turn(message: Message) -> str:
    calls = [f"{call.name}({normalise(call.arguments)})" for call in message.tool_calls]
    return "\n".join([f"{message.role}: {normalise(message.content)}", *calls])
