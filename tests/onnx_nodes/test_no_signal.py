from __future__ import annotations

import pytest

from tests.onnx_nodes.no_signal import BUILT, REFUSED, ask_in_child
from tests.onnx_nodes.sweep import node_tests


def _wrong(pattern: str, at_least: int) -> list[str]:
    """What went wrong, by node test. As many of them as `at_least` were built."""
    told = {case.name: ask_in_child(case) for case in node_tests(pattern)}
    assert sum(verdict == BUILT for verdict in told.values()) >= at_least
    return [f"{name}: {what}" for name, what in told.items() if what not in (BUILT, REFUSED)]


@pytest.mark.slow
def test_indices_and_divisors_raise_no_signal() -> None:
    names = "gather_0|gather_elements_1|mod_mixed_sign_int32|div_uint8|gathernd_example_int32"
    assert not _wrong(f"^test_({names})$", 4)


@pytest.mark.long
def test_no_operator_raises_a_signal() -> None:
    assert not _wrong("", 500)
