"""Chemistry tools: molar mass and composition from a formula, and dilution.

Atomic masses are those of `periodictable`: the IUPAC standard atomic weights. It also reads
the formulas.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from workbench.errors import InputError
from workbench.mcptools.quantities import quantity, read, shown
from workbench.tools import Context, Definition
from workbench.tools.schemas import parameters, text

_FORMULA = r"[A-Z]([A-Za-z0-9()]|·[0-9]*)*"


def _molar_mass(arguments: Mapping[str, Any], context: Context) -> Any:
    from periodictable import formula

    given = arguments["formula"]
    if not re.fullmatch(_FORMULA, given):
        raise InputError(f"{given[:80]!r} is no formula", "Write it as H2SO4 or CuSO4·5H2O")
    try:
        # Its own sign for water of crystallisation is +.
        read_as = formula(given.replace("·", "+"))
        mass = read_as.mass
    except Exception:  # its parser raises whatever it likes
        raise InputError(
            f"{given[:80]!r} is no formula of known elements", "Write it as H2SO4 or CuSO4·5H2O"
        ) from None
    fractions = {
        element.symbol: float(f"{fraction:.6g}")
        for element, fraction in read_as.mass_fraction.items()
    }
    return {
        "formula": given,
        "molar_mass": {"value": float(f"{mass:.6g}"), "unit": "g/mol"},
        "mass_fractions": fractions,
        "source": "IUPAC standard atomic weights, by periodictable",
    }


def _dilution(arguments: Mapping[str, Any], context: Context) -> Any:
    stock, wanted = (read(arguments[name], "mol/L") for name in ("stock", "wanted"))
    volume = read(arguments["volume"], "mL")
    if not 0 < wanted.magnitude <= stock.magnitude or volume.magnitude <= 0:
        raise InputError(
            "A dilution goes from a larger concentration to a smaller one, of some volume",
            "Check stock, wanted and volume",
        )
    taken = volume * wanted / stock
    return {
        "take_of_stock": shown(taken, "mL"),
        "add_of_solvent": shown(volume - taken, "mL"),
        "factor": float(f"{(stock / wanted).magnitude:.6g}"),
        "source": "c1 V1 = c2 V2; volumes are taken to add up",
    }


MOLAR_MASS = Definition(
    "molar_mass",
    "Molar mass of a chemical formula, and the mass fraction of each element.",
    parameters({"formula": text("Formula, e.g. H2SO4 or CuSO4·5H2O", minLength=1, maxLength=100)}),
    {"type": "object"},
    "read",
    _molar_mass,
)
DILUTION = Definition(
    "dilution",
    "How much stock solution and solvent make a volume of a smaller concentration.",
    parameters(
        {
            "stock": quantity("Concentration of the stock, e.g. 12 mol/L"),
            "wanted": quantity("Concentration wanted, e.g. 0.5 mol/L"),
            "volume": quantity("Volume wanted, e.g. 250 mL"),
        }
    ),
    {"type": "object"},
    "read",
    _dilution,
)
