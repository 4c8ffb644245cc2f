from __future__ import annotations

from rtcompile.command.counts_summary import added, since, summary


def _counts(defaulted: int, unparsed: int) -> dict[str, int]:
    return {"defaulted": defaulted, "unparsed": unparsed}


def test_sums_and_differences() -> None:
    one, other = {"a": _counts(1, 2)}, {"a": _counts(3, 0), "b": _counts(1, 1)}
    whole = added([one, other, {}])
    assert whole == {"a": _counts(4, 2), "b": _counts(1, 1)}
    assert since(one, whole) == {"a": _counts(3, 0), "b": _counts(1, 1)}
    assert one == {"a": _counts(1, 2)}
    assert added([]) == {}


def test_what_could_not_be_read_comes_first() -> None:
    counters = {"a": _counts(9, 0), "b": _counts(0, 0), "c": _counts(1234, 1)}
    assert summary(counters) == [
        "feature 'c': 1 values could not be read, 1,234 places took the default",
        "feature 'a': 0 values could not be read, 9 places took the default",
    ]
    many = {f"f{i}": _counts(1, 1) for i in range(25)}
    assert summary(many)[-1] == "and 5 features more"
    assert summary({}) == summary({"a": _counts(9, 0)}) == []
