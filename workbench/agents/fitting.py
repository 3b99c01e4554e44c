"""A conversation that is too long for its model: results of tools are shortened, the longest first.

What was cut is kept in the run and in the trace; only the model is shown less, and is told
so. Knows nothing about models: whoever asks says when it did not fit.
"""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AnyMessage, ToolMessage

_LEAST = 400
"""Characters of a result that are left in any case."""


def shorter(messages: Sequence[AnyMessage]) -> list[AnyMessage] | None:
    """`messages` with half of the longest result; None where no result is long enough to cut."""
    results = [m for m in messages if isinstance(m, ToolMessage) and len(str(m.content)) > _LEAST]
    if not results:
        return None
    longest = max(results, key=lambda message: len(str(message.content)))
    return [_halved(m) if m is longest else m for m in messages]


def _halved(message: ToolMessage) -> ToolMessage:
    """The beginning and the end of a result: what matters may stand at either."""
    text = str(message.content)
    keep = len(text) // 4
    note = f"\n[... {len(text) - 2 * keep:,} characters left out for want of room ...]\n"
    return message.model_copy(update={"content": text[:keep] + note + text[-keep:]})
