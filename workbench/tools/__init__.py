"""Tools: what a model may ask for, and how a call of it is checked and run.

registry = Registry(settings)
for definition in registry:
    print(definition.name, definition.risk, definition.source)
context = Context(settings, workspace=folder)
call(registry.get("read_file"), '{"path": "README.md"}', context)

A tool of the package is one definition and one line in `BUILT_IN`. Others drop
in: Python packages by the entry-point group `workbench.tools` (`plugins`), and
YAML manifests in the folder `tools/` of the project (`manifests`).
"""

from __future__ import annotations

from workbench.tools.contract import Context, Definition, Risk, call, check, read_arguments
from workbench.tools.plugins import hookimpl
from workbench.tools.registry import BUILT_IN, Problem, Registry

__all__ = [
    "BUILT_IN",
    "Context",
    "Definition",
    "Problem",
    "Registry",
    "Risk",
    "call",
    "check",
    "hookimpl",
    "read_arguments",
]
