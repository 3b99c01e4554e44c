"""What the gate refuses, from measured numbers alone."""

from __future__ import annotations

from dataclasses import replace

from workbench.adapters.parity import RuntimeParity, _gated

FULL = RuntimeParity(
    backend="onnx",
    precision="fp32",
    full_precision=True,
    prompts_equal=True,
    equal_prefix=(32,),
    equal_share=1.0,
    kl=1e-11,
    kl_base=1e-11,
    kl_without=0.01,
    top1=1.0,
    slope=1.0,
    correlation=1.0,
)
INT8 = replace(
    FULL, precision="int8", full_precision=False, kl=0.005, kl_base=0.005, kl_without=0.02
)


def _failures(*runtimes: RuntimeParity, effect: float = 0.01) -> list[str]:
    return [f for runtime in _gated(runtimes, effect) for f in runtime.failures]


def test_a_right_export_passes() -> None:
    assert _failures(FULL, INT8) == []


def test_full_precision_must_agree_token_by_token() -> None:
    assert "below 90%" in _failures(replace(FULL, equal_share=0.8))[0]
    assert "mean KL" in _failures(replace(FULL, kl=0.01))[0]
    assert "mean KL" in _failures(replace(FULL, kl=float("nan")))[0]


def test_other_tokens_for_the_prompt_are_refused() -> None:
    assert "token ids" in _failures(replace(FULL, prompts_equal=False))[0]


def test_a_strong_adapter_must_arrive_whole_in_a_quantised_runtime() -> None:
    assert "0.40 of the adapter's effect" in _failures(FULL, replace(INT8, slope=0.4))[0]
    assert "not below" in _failures(FULL, replace(INT8, kl_without=0.004))[0]


def test_a_weak_adapter_needs_full_precision_of_the_same_runtime() -> None:
    noisy = replace(INT8, slope=0.13)
    assert _failures(FULL, noisy, effect=1e-4) == []
    assert "no full precision of onnx passed" in _failures(noisy, effect=1e-4)[0]
    other = replace(FULL, backend="llama.cpp")
    assert "no full precision of onnx passed" in _failures(other, noisy, effect=1e-4)[0]
    broken = replace(FULL, equal_share=0.0)
    assert len(_failures(broken, noisy, effect=1e-4)) == 2


def test_a_weak_adapter_may_not_add_an_error_of_its_own() -> None:
    assert "above" in _failures(FULL, replace(INT8, kl=0.02), effect=1e-4)[0]
