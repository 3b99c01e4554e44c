"""Numbers with units, as a model writes them: "2 m", "7850 kg/m^3", "25 N*mm".

Units and their conversion are pint's. Its parser of expressions is not used, for it computes
(`9**9**9` would take forever): a number and a unit of a narrow form are read, nothing else.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from workbench.errors import InputError
from workbench.tools.schemas import text

if TYPE_CHECKING:
    from pint import Quantity, UnitRegistry

_NUMBER = r"[-+]?[0-9]{1,15}(?:\.[0-9]{1,15})?(?:[eE][-+]?[0-9]{1,2})?"
_PART = r"[A-Za-z%°µ]{1,24}(?:\^-?[1-9])?"
_FORM = re.compile(rf"({_NUMBER}) ({_PART}(?:[*/]{_PART}){{0,5}})")


def quantity(description: str) -> dict[str, Any]:
    """The schema of a quantity; `description` holds an example. Only `read` knows all units."""
    return text(description, pattern=r"^[-+.0-9eE]+ [A-Za-z%°µ]\S*$", maxLength=80)


def read(given: str, unit: str) -> Quantity:
    """The quantity that is written there, in `unit`. Raises InputError where it is none such."""
    import pint

    found = _FORM.fullmatch(given)
    if found is None:
        raise InputError(f"{given[:80]!r} is no number with a unit", f'Write it as "1.5 {unit}"')
    units = registry()
    try:
        value = units.Quantity(float(found[1]), units.parse_units(found[2]))
        return value.to(unit)
    except (pint.PintError, ValueError, ArithmeticError) as error:
        raise InputError(
            f"{given[:80]!r} is not a quantity in {unit} ({type(error).__name__})",
            f'Write it as "1.5 {unit}"',
        ) from None


def shown(value: Quantity, unit: str) -> dict[str, Any]:
    """A result: its value to six significant digits, and its unit."""
    return {"value": float(f"{value.to(unit).magnitude:.6g}"), "unit": unit}


@cache
def registry() -> UnitRegistry[Any]:
    """The units that pint knows; offsets (degrees Celsius) convert to kelvin."""
    import pint

    return pint.UnitRegistry(autoconvert_offset_to_baseunit=True)
