"""The sample domain servers: real calculations with units and sources."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from examples import STRANGE_TEXTS
from mcp_parts import context

from workbench import tools
from workbench.errors import InputError, ToolError
from workbench.mcptools import domains
from workbench.settings import Settings

SAMPLES = Path(__file__).resolve().parents[2] / "datasets" / "samples" / "mcp"
NAMES = ("chemistry", "materials", "mechanics")


def _call(folder: Path, name: str, **arguments: str) -> Any:
    found = {t.name: t for domain in NAMES for t in domains.read(SAMPLES / f"{domain}.yaml").tools}
    given = replace(context(folder), settings=Settings(SAMPLES.parents[2], folder))
    result = tools.call(found[name], json.dumps(arguments), given)
    return json.loads(result) if isinstance(result, str) else result


def _value(quantity: dict[str, Any]) -> tuple[float, str]:
    return quantity["value"], quantity["unit"]


@pytest.mark.parametrize("name", NAMES)
def test_each_sample_lists_tools_that_only_read(name: str) -> None:
    domain = domains.read(SAMPLES / f"{name}.yaml")
    assert domain.name == name
    assert len(domain.tools) >= 2
    assert {tool.risk for tool in domain.tools} == {"read"}


def test_molar_mass_and_mass_fractions(tmp_path: Path) -> None:
    acid = _call(tmp_path, "molar_mass", formula="H2SO4")
    assert _value(acid["molar_mass"]) == (pytest.approx(98.07, abs=0.02), "g/mol")
    assert sum(acid["mass_fractions"].values()) == pytest.approx(1, abs=1e-5)
    vitriol = _call(tmp_path, "molar_mass", formula="CuSO4·5H2O")
    assert vitriol["molar_mass"]["value"] == pytest.approx(249.68, abs=0.02)
    assert vitriol["mass_fractions"]["Cu"] == pytest.approx(0.2545, abs=1e-4)


def test_dilution(tmp_path: Path) -> None:
    given = {"stock": "12 mol/L", "wanted": "500 mmol/L", "volume": "0.25 L"}
    made = _call(tmp_path, "dilution", **given)
    assert _value(made["take_of_stock"]) == (10.4167, "mL")
    assert _value(made["add_of_solvent"]) == (239.583, "mL")


def test_beams_agree_with_the_textbook(tmp_path: Path) -> None:
    beam = {
        "load": "1 kN",
        "length": "2000 mm",
        "elastic_modulus": "210 GPa",
        "section": "rectangle",
        "width": "20 mm",
        "height": "4 cm",
    }
    # I = 20 * 40^3 / 12 mm^4; F L^3 / (k E I) with k of each case, and M = F L / m.
    cases = {
        "cantilever, force at the end": (119.048, 2000),
        "cantilever, even load": (44.6429, 1000),
        "simply supported, force in the middle": (7.44048, 500),
        "simply supported, even load": (4.6503, 250),
        "both ends fixed, force in the middle": (1.86012, 250),
        "both ends fixed, even load": (0.93006, 166.667),
    }
    for case, (deflection, moment) in cases.items():
        found = _call(tmp_path, "beam", case=case, **beam)
        assert _value(found["deflection"]) == (pytest.approx(deflection, rel=1e-5), "mm")
        assert _value(found["moment"]) == (pytest.approx(moment, rel=1e-5), "N*m")
        stress = moment * 1000 * 20 / (20 * 40**3 / 12)
        assert _value(found["stress"]) == (pytest.approx(stress, rel=1e-5), "MPa")
    with pytest.raises(ToolError, match="needs a width"):
        _call(tmp_path, "beam", case=case, **{k: v for k, v in beam.items() if k != "width"})


def test_shafts_agree_with_the_textbook(tmp_path: Path) -> None:
    shaft = {"power": "75 kW", "speed": "3000 rpm", "diameter": "30 mm"}
    solid = _call(tmp_path, "shaft", **shaft)
    assert _value(solid["torque"]) == (pytest.approx(238.732, rel=1e-5), "N*m")
    assert _value(solid["shear_stress"]) == (pytest.approx(45.0316, rel=1e-5), "MPa")
    hollow = _call(tmp_path, "shaft", bore="10 mm", **shaft)
    assert hollow["shear_stress"]["value"] == pytest.approx(45.0316 * 81 / 80, rel=1e-5)
    with pytest.raises(ToolError, match="bore is not smaller"):
        _call(tmp_path, "shaft", bore="30 mm", **shaft)


def test_every_property_of_the_table_has_a_unit_and_a_source(tmp_path: Path) -> None:
    for name, known in _call(tmp_path, "materials").items():
        for each in known:
            found = _call(tmp_path, "material_property", material=name, property=each)
            assert found["value"] > 0
            assert found["unit"]
            assert found["source"]
    with pytest.raises(ToolError, match="no yield_strength of copper"):
        _call(tmp_path, "material_property", material="copper", property="yield_strength")
    with pytest.raises(ToolError, match="Use one of S235JR"):
        _call(tmp_path, "material_property", material="unobtainium", property="density")


def test_thermal_expansion_between_temperatures(tmp_path: Path) -> None:
    given = {"material": "S235JR", "length": "10 m", "from": "20 degC", "to": "-20 degC"}
    found = _call(tmp_path, "thermal_expansion", **given)
    assert _value(found["change_of_length"]) == (pytest.approx(-4.8), "mm")


@pytest.mark.parametrize(
    "written",
    [
        "9**9**9 m",
        "1e400 m",
        "nan m",
        "inf m",
        "2",
        "m",
        "2 m; import os",
        "1 __class__",
        "2 s",
        "",
    ],
)
def test_what_is_no_quantity_is_refused_and_never_computed(written: str, tmp_path: Path) -> None:
    with pytest.raises(ToolError):
        _call(
            tmp_path,
            "thermal_expansion",
            material="S235JR",
            length=written,
            **{"from": "20 degC", "to": "30 degC"},
        )


@pytest.mark.parametrize(
    "text", [*STRANGE_TEXTS.values(), "H2SO4 // 5%wt", "aa:A", "(" * 99, "h2o", "Xx", "H2)O"]
)
def test_what_is_no_formula_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ToolError):
        _call(tmp_path, "molar_mass", formula=text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tools: []",
        "name: x\ntools: [os:system]",
        "name: x\ntools: [no.such.module:TOOL]",
        "name: x\ntools: [workbench.mcptools.chemistry:NOTHING]",
        "name: x\ntools: [':']",
        "name: x\ntools: [workbench.mcptools.chemistry:DILUTION]\nmore: 1",
        "\x00",
        "name: x\ntools: [broken_syntax:TOOL]",
        "name: x\ntools: [broken_import:TOOL]",
        "name: x\ntools: [leaving_import:TOOL]",
        "name: !!python/object/apply:os.system [true]\ntools: []",
    ],
)
def test_a_broken_list_of_tools_is_one_clear_line(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_syntax.py").write_text("def TOOL(:\n")
    (tmp_path / "broken_import.py").write_text("raise RuntimeError('one line\\nand another')\n")
    (tmp_path / "leaving_import.py").write_text("raise SystemExit(0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "domain.yaml").write_text(text)
    with pytest.raises(InputError) as told:
        domains.read(tmp_path / "domain.yaml")
    assert "\n" not in str(told.value)
