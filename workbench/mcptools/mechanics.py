"""Mechanics tools: deflection and stress of beams, torque and stress of shafts.

Formulas: Young, Budynas and Sadegh, Roark's Formulas for Stress and Strain, 8th ed., table 8.1
(beams) and section 10.2 (circular shafts). They hold for slender beams, small deflections
and linear elastic material; shear and the beam's own weight are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workbench.errors import InputError
from workbench.mcptools.quantities import quantity, read, registry, shown
from workbench.tools import Context, Definition
from workbench.tools.schemas import choice, parameters

_ROARK = "Roark's Formulas for Stress and Strain, 8th ed."


@dataclass(frozen=True)
class _Case:
    """Largest deflection is load L^3 / (`stiffness` E I), largest moment load L / `moment`.

    The load is a force; where it is spread evenly, that over the whole length.
    """

    stiffness: float
    moment: float


_BEAMS = {
    "cantilever, force at the end": _Case(3, 1),
    "cantilever, even load": _Case(8, 2),
    "simply supported, force in the middle": _Case(48, 4),
    "simply supported, even load": _Case(384 / 5, 8),
    "both ends fixed, force in the middle": _Case(192, 8),
    "both ends fixed, even load": _Case(384, 12),
}


def _beam(arguments: Mapping[str, Any], context: Context) -> Any:
    load, length = read(arguments["load"], "N"), _positive(arguments["length"], "m")
    modulus = _positive(arguments["elastic_modulus"], "Pa")
    inertia, half = _section(arguments)
    case = _BEAMS[arguments["case"]]
    moment = load * length / case.moment
    return {
        "deflection": shown(load * length**3 / (case.stiffness * modulus * inertia), "mm"),
        "moment": shown(moment, "N*m"),
        "stress": shown(moment * half / inertia, "MPa"),
        "second_moment_of_area": shown(inertia, "mm^4"),
        "source": f"{_ROARK}, table 8.1; largest values along the beam",
    }


def _section(arguments: Mapping[str, Any]) -> tuple[Any, Any]:
    """Second moment of area, and the distance of the outer fibre from the axis."""
    height = _positive(arguments["height"], "m")
    if arguments["section"] == "rectangle":
        if "width" not in arguments:
            raise InputError("A rectangle needs a width", "Give it, e.g. 20 mm")
        return _positive(arguments["width"], "m") * height**3 / 12, height / 2
    return math.pi * height**4 / 64, height / 2


def _shaft(arguments: Mapping[str, Any], context: Context) -> Any:
    power = read(arguments["power"], "W")
    speed = _positive(arguments["speed"], "rpm")
    outer = _positive(arguments["diameter"], "m")
    inner = read(arguments.get("bore", "0 mm"), "m")
    if not 0 <= inner.magnitude < outer.magnitude:
        raise InputError("The bore is not smaller than the diameter", "Check both")
    torque = power / (speed.to("radian/s") / registry().Quantity(1, "radian"))
    polar = math.pi * (outer**4 - inner**4) / 32
    return {
        "torque": shown(torque, "N*m"),
        "shear_stress": shown(torque * outer / 2 / polar, "MPa"),
        "polar_moment_of_area": shown(polar, "mm^4"),
        "source": f"P = T w; T r / J ({_ROARK}, section 10.2), without stress concentration",
    }


def _positive(given: str, unit: str) -> Any:
    value = read(given, unit)
    if not 0 < value.magnitude < math.inf:
        raise InputError(f"{given[:80]!r} is not above zero", "Check it")
    return value


BEAM = Definition(
    "beam",
    "Largest deflection, moment and bending stress of a straight beam in a standard case.",
    parameters(
        {
            "case": choice("How it is held and loaded", *_BEAMS),
            "load": quantity("Total force, e.g. 1.5 kN"),
            "length": quantity("Length, e.g. 2 m"),
            "elastic_modulus": quantity("Young's modulus, e.g. 210 GPa"),
            "section": choice("Cross section", "rectangle", "round"),
            "height": quantity("Height in the direction of the load, or diameter, e.g. 40 mm"),
        },
        {"width": quantity("Width of a rectangle, e.g. 20 mm")},
    ),
    {"type": "object"},
    "read",
    _beam,
)
SHAFT = Definition(
    "shaft",
    "Torque of a shaft from power and speed, and its shear stress.",
    parameters(
        {
            "power": quantity("Power, e.g. 75 kW"),
            "speed": quantity("Speed of rotation, e.g. 3000 rpm"),
            "diameter": quantity("Outer diameter, e.g. 30 mm"),
        },
        {"bore": quantity("Inner diameter of a hollow shaft, e.g. 10 mm")},
    ),
    {"type": "object"},
    "read",
    _shaft,
)
