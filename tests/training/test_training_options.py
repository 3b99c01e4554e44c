from __future__ import annotations

from typing import get_args

import pytest

from workbench.errors import SettingsError
from workbench.training import METHODS, Method, TrainingOptions


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("method", "sorcery"),
        ("rank", 0),
        ("rank", 2.5),
        ("epochs", 0),
        ("batch_size", True),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("beta", -0.1),
        ("dropout", 1.0),
        ("target", ()),
        ("target", "q_proj"),
        ("precision", "float8"),
        ("seed", -1),
        ("save_every", 0),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(SettingsError, match=name if name != "method" else "sorcery"):
        TrainingOptions(**{name: value})


def test_every_method_that_options_allow_has_a_trainer() -> None:
    assert set(METHODS) == set(get_args(Method))
