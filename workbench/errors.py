"""The tree of errors. Every message states the fact, then the remedy.

    WorkbenchError
      SettingsError       a setting is unknown or has a wrong value
      InputError          a file or record given to us can't be used
      ModelError          a model is missing, corrupt or of an unknown kind
        ConversionError   a form of a model could not be made
      BackendError        a runtime refused or failed
      AdapterError        an adapter is broken or belongs to another base
        ParityError       runtimes disagree about an adapter
      MissingLibrary      an optional library is not installed
      RunError            a notebook of a run failed
      ApprovalError       a tool call that nobody approved, or not any more
      ServerError         a server beside us refused, failed or can't be reached
      ToolError           a tool refused a call or failed; the model is told so
      SandboxError        no kernel sandbox can be made here; nothing was executed

The command line prints `str(error)` in one line and exits with 2.
"""

from __future__ import annotations


class WorkbenchError(Exception):
    """A failure that the user can act on: what happened, and what to do."""

    def __init__(self, fact: str, remedy: str) -> None:
        self.fact = fact.rstrip(".")
        self.remedy = remedy.rstrip(".")
        super().__init__(f"{self.fact}. {self.remedy}.")


class SettingsError(WorkbenchError):
    """A setting is unknown or has a wrong value."""


class InputError(WorkbenchError):
    """A file or record that was given to us can't be used."""


class ModelError(WorkbenchError):
    """A model is missing, corrupt or of an unknown kind."""


class ConversionError(ModelError):
    """A form of a model could not be made; nothing was left behind."""


class BackendError(WorkbenchError):
    """A runtime refused a request or failed."""


class ContextError(BackendError):
    """A conversation is longer than the model's context."""


class AdapterError(WorkbenchError):
    """An adapter is broken, can't be exported, or belongs to another base."""


class ParityError(AdapterError):
    """The runtimes disagree about an adapter; it is not served."""


class MissingLibrary(WorkbenchError):
    """An optional library is not installed."""

    def __init__(self, library: str, needed_for: str, extra: str | None = None) -> None:
        install = f'pip install "workbench[{extra}]"' if extra else f"pip install {library}"
        super().__init__(f"{needed_for} needs the library {library}", f"Install it: {install}")


class RunError(WorkbenchError):
    """A notebook of a run failed; what was done before it is kept."""


class ApprovalError(WorkbenchError):
    """A tool call that nobody approved, or whose approval is used up or too late."""


class ServerError(WorkbenchError):
    """A server beside us (Langfuse, Label Studio) refused, failed or can't be reached."""


class ToolError(WorkbenchError):
    """A tool refused a call or failed. The message is what the model is told, in one line."""


class SandboxError(WorkbenchError):
    """No kernel sandbox can be made here; nothing was executed."""
