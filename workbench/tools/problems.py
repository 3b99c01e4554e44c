"""What could not be used as a tool, and why, in one line."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.errors import WorkbenchError
from workbench.tools.contract import one_line


@dataclass(frozen=True)
class Problem:
    """A source of tools that was set aside. Others are offered all the same."""

    source: str
    reason: str

    @classmethod
    def of(cls, source: str, error: BaseException) -> Problem:
        """What `error` says, in one line."""
        known = isinstance(error, WorkbenchError)
        return cls(source, one_line(str(error) if known else f"{type(error).__name__}: {error}"))

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"
