from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rtcompile.codegen.program.memory_plan import MemoryPlan
from rtcompile.codegen.program.program import ALIGNMENT, align

_STEPS = st.lists(st.tuples(st.booleans(), st.integers(0, 5000), st.integers(0, 99)), max_size=60)


@given(steps=_STEPS)
def test_places_never_overlap_and_fit(steps: list[tuple[bool, int, int]]) -> None:
    plan = MemoryPlan()
    taken: dict[int, int] = {}
    for give, size, pick in steps:
        if give and taken:
            offset = sorted(taken)[pick % len(taken)]
            plan.give(offset)
            del taken[offset]
            continue
        offset = plan.take(size)
        end = offset + align(max(size, 1))
        assert offset % ALIGNMENT == 0
        assert end <= plan.size
        assert all(end <= other or other_end <= offset for other, other_end in taken.items())
        taken[offset] = end


def test_freed_memory_is_used_again() -> None:
    plan = MemoryPlan()
    first, second = plan.take(1000), plan.take(1000)
    plan.give(first)
    plan.give(second)
    assert plan.take(2000) == 0
    assert plan.size == 2 * align(1000)
