"""A prompt with the passages that may answer it, each under the name of its source.

The passages stand in a system turn before the question, so that prompts with
the same passages share their beginning. It knows nothing about searching.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from workbench.knowledge.store import Hit
from workbench.records import Message, Prompt

INSTRUCTION = "Answer from these notes where they help."


def ground(prompt: Prompt, hits: Sequence[Hit]) -> Prompt:
    """The prompt with the passages of `hits` before it; its id and topic stay as they are.

    A system turn that the prompt already has is kept in front of the passages.
    The prompt's origin names their documents, so that a split keeps prompts that
    share one on one side. Without hits the prompt comes back unchanged.
    """
    if not hits:
        return prompt
    notes = [f"[{hit.passage.source}]\n{hit.passage.text}" for hit in hits]
    system = [m.content for m in prompt.messages if m.role == "system"]
    rest = [m for m in prompt.messages if m.role != "system"]
    first = Message("system", "\n\n".join([*system, INSTRUCTION, *notes]))
    sources = {*prompt.origin.documents, *(hit.passage.source for hit in hits)}
    origin = replace(prompt.origin, documents=tuple(sorted(sources)))
    return replace(prompt, messages=(first, *rest), origin=origin)
