"""Which tool calls run at once, which are refused, and which are asked about.

    rules:
      - tool: shell
        arguments: {command: "git (status|log)( .*)?"}
        decide: approve
        reason: only reads
      - tool: "*"
        risk: [network]
        decide: reject

The first rule that fits decides. Where none fits, reading is approved and all else
asked. Patterns are those of Python's `re` and must match the whole argument. A
pattern is no boundary for a language: `git log.*` fits `git log; rm -r .` as well, and
what a call can reach is the sandbox's business. A dot matches no line break, so that
a second line never slips through `approve`. Names of files are matched in one spelling, without
`.` and empty parts, but only where the tool says which arguments they are (`Definition.paths`):
tools of ours do, for arguments that are nothing else; a manifest or an MCP server does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from workbench.approval.requests import canonical
from workbench.errors import InputError
from workbench.tools import Definition, Risk

Ruling = Literal["approve", "modify", "reject", "terminate", "escalate", "ask"]
"""escalate: ask, but the second of those who are asked in turn (`InTurn`) and not the first;
whoever is asked alone is asked all the same."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a policy.

    `tool` is a name or a pattern such as `git_*`; without `risk` any risk fits.
    `arguments` maps an argument (`command`; `edit.path` for one within another) to a
    regular expression that its text must match as a whole: a string as it is, any
    other value as JSON. An argument that is absent matches nothing. `set` replaces
    arguments, with "modify" alone.
    """

    decide: Ruling
    tool: str = "*"
    risk: tuple[Risk, ...] = ()
    arguments: dict[str, str] = msgspec.field(default_factory=dict)
    set: dict[str, Any] = msgspec.field(default_factory=dict)
    reason: str = ""

    def __post_init__(self) -> None:
        if bool(self.set) != (self.decide == "modify"):
            raise ValueError("`set` goes with `decide: modify`, and with nothing else")
        try:
            canonical(self.set)
        except TypeError as error:  # YAML has dates
            raise ValueError(f"`set` is no JSON: {error}") from None
        for pattern in self.arguments.values():
            re.compile(pattern)

    def fits(self, definition: Definition, arguments: Mapping[str, Any]) -> bool:
        """Whether this rule speaks about that call."""
        return (
            fnmatchcase(definition.name, self.tool)
            and (not self.risk or definition.risk in self.risk)
            and all(
                (text := _text(arguments, path)) is not None
                and re.fullmatch(pattern, text) is not None
                for path, pattern in self.arguments.items()
            )
        )


@dataclass(frozen=True)
class Ruled:
    """What a policy says about a call; `arguments` are those to run it with."""

    ruling: Ruling
    reason: str
    arguments: dict[str, Any] = field(default_factory=dict)


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rules in order, and how long someone who is asked may take, in seconds: at most 30 days."""

    rules: tuple[Rule, ...] = ()
    wait_s: Annotated[float, msgspec.Meta(gt=0, le=30 * 86_400)] = 300.0

    @classmethod
    def load(cls, path: Path | str) -> Policy:
        """The policy in a YAML file. Raises InputError, with the place, where it is none."""
        import yaml

        try:
            text = Path(path).read_text(encoding="utf-8")
            return msgspec.convert(yaml.safe_load(text) or {}, cls)
        except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, re.error) as error:
            raise InputError(
                f"{path} is no policy ({' '.join(str(error).split())})",
                "Write rules as in the documentation of workbench.approval.policy",
            ) from None

    def rule(self, definition: Definition, arguments: Mapping[str, Any]) -> Ruled:
        """What to do with that call."""
        given = dict(arguments)
        for rule in self.rules:
            if rule.fits(definition, given):
                reason = rule.reason or f"a rule for {rule.tool}"
                return Ruled(rule.decide, reason, {**given, **rule.set})
        if definition.risk == "read":
            return Ruled("approve", "it only reads", given)
        return Ruled("ask", f"its risk is {definition.risk}", given)


def _text(arguments: Mapping[str, Any], path: str) -> str | None:
    """The argument at `path` as text; None where there is none."""
    value: Any = arguments
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value if isinstance(value, str) else canonical({"": value})[len('{"": ') : -1]
