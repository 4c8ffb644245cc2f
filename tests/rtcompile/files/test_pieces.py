"""Bytes in several buffers."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rtcompile.files.pieces import Pieces

_CUTS = st.lists(st.integers(0, 12), max_size=4)


def _cut(data: bytes, cuts: list[int]) -> Pieces:
    ends = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parts = [data[start:end] for start, end in pairwise(ends)]
    return Pieces([parts[0], *(np.frombuffer(part, np.uint8) for part in parts[1:])])


@given(st.binary(max_size=12), _CUTS, st.binary(max_size=12), _CUTS)
def test_pieces_are_what_they_are_joined(
    one: bytes, cuts: list[int], other: bytes, more: list[int]
) -> None:
    first, second = _cut(one, cuts), _cut(other, more)
    assert first.joined() == one
    assert len(first) == len(one)
    assert first.begins_with(second) == one.startswith(other)
    assert first.begins_with(_cut(one[: len(other)], more))
    assert Pieces.of(one).begins_with(first)
