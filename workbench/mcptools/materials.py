"""Materials tools: properties by name, each with unit and source, and thermal expansion.

The table is a file of the project, `datasets/samples/mcp/properties.yaml`: data, which its
readers may mend and extend. Without an entry there is no answer, never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from workbench.errors import InputError
from workbench.mcptools.quantities import quantity, read, shown
from workbench.tools import Context, Definition
from workbench.tools.schemas import choice, parameters, text

_TABLE = Path("samples", "mcp", "properties.yaml")


class Material(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Properties at room temperature, each a number with a unit; None where the source has none."""

    source: str
    density: str | None = None
    elastic_modulus: str | None = None
    yield_strength: str | None = None
    thermal_expansion: str | None = None
    thermal_conductivity: str | None = None


_UNITS = {
    "density": "kg/m^3",
    "elastic_modulus": "GPa",
    "yield_strength": "MPa",
    "thermal_expansion": "um/m/K",
    "thermal_conductivity": "W/m/K",
}


def _materials(arguments: Mapping[str, Any], context: Context) -> Any:
    return {
        name: [each for each in _UNITS if getattr(material, each) is not None]
        for name, material in _table(context).items()
    }


def _property(arguments: Mapping[str, Any], context: Context) -> Any:
    name, wanted = arguments["material"], arguments["property"]
    value, source = _value(name, wanted, context)
    return {"material": name, "property": wanted, **shown(value, _UNITS[wanted]), "source": source}


def _expansion(arguments: Mapping[str, Any], context: Context) -> Any:
    length = read(arguments["length"], "m")
    change = read(arguments["from"], "kelvin"), read(arguments["to"], "kelvin")
    name = arguments["material"]
    coefficient, source = _value(name, "thermal_expansion", context)
    grown = coefficient * length * (change[1] - change[0])
    return {
        "change_of_length": shown(grown, "mm"),
        "new_length": shown(length + grown, "mm"),
        "coefficient": shown(coefficient, "um/m/K"),
        "source": f"dL = a L dT with a near room temperature; {source}",
    }


def _value(name: str, wanted: str, context: Context) -> tuple[Any, str]:
    """A property of a material, and its source."""
    table = _table(context)
    if name not in table:
        raise InputError(
            f"There is no material {name[:80]!r} in the table", f"Use one of {', '.join(table)}"
        )
    given = getattr(table[name], wanted)
    if given is None:
        raise InputError(f"The table has no {wanted} of {name}", "Do without it")
    return read(given, _UNITS[wanted]), table[name].source


def _table(context: Context) -> dict[str, Material]:
    import yaml

    path = context.settings.datasets / _TABLE
    try:
        return msgspec.convert(
            yaml.safe_load(path.read_text(encoding="utf-8")), dict[str, Material]
        )
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InputError(
            f"The table of materials can't be read ({type(error).__name__})", f"Mend {_TABLE}"
        ) from None


_MATERIAL = text("Name of a material, as `materials` gives it", maxLength=80)

MATERIALS = Definition(
    "materials",
    "All materials of the table, each with the properties that are known.",
    parameters({}),
    {"type": "object"},
    "read",
    _materials,
)
MATERIAL_PROPERTY = Definition(
    "material_property",
    "A property of a material, with unit and source.",
    parameters({"material": _MATERIAL, "property": choice("Which one", *_UNITS)}),
    {"type": "object"},
    "read",
    _property,
)
THERMAL_EXPANSION = Definition(
    "thermal_expansion",
    "How much longer a part of a material gets between two temperatures.",
    parameters(
        {
            "material": _MATERIAL,
            "length": quantity("Length, e.g. 2 m"),
            "from": quantity("First temperature, e.g. 20 degC"),
            "to": quantity("Second temperature, e.g. 120 degC"),
        }
    ),
    {"type": "object"},
    "read",
    _expansion,
)
