"""Workbench: turn people's judgements into a better local model, and prove that it is better.

Rooms, in the order in which imports may point (a room imports from those on its left):
errors, records, settings, journal <- models, tracing <- backends <- knowledge
<- feedback, preferences <- adapters <- training <- evaluation <- session, report, runs, cli.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from workbench.session import Session, start

__all__ = ["Session", "__version__", "start"]


def __getattr__(name: str) -> Any:
    """`workbench.start` and `workbench.Session`, imported when first used."""
    if name in ("Session", "start"):
        from workbench import session

        return getattr(session, name)
    raise AttributeError(f"module 'workbench' has no attribute {name!r}")
