from __future__ import annotations

import pytest

from rtcompile.features.hashing import farmhash, murmur

# Every branch of the fingerprint; its values were checked against Google's own implementation.
_KNOWN = {
    0: (11160318154034397263, 6142509188972423790),
    3: (4662423180930907492, 14406019136625869490),
    7: (17233423938440663304, 10568914828406781136),
    12: (14323719444777939768, 4003579706850373918),
    16: (9887023220782602712, 17234155966362825033),
    20: (18174508500703238501, 16921775148926311979),
    32: (3992320350721670009, 4807673026044145616),
    40: (6531253156116958373, 17569101056680240475),
    64: (9719393743865045798, 17951276794234549927),
    65: (3209512396189334845, 13708298404512038876),
    128: (9860653571417009732, 6665105396447761743),
    129: (11846919615297853605, 5247523290494144051),
    300: (10149013243842521284, 7257403136981011611),
}


@pytest.mark.parametrize("length", _KNOWN)
def test_known_answers(length: int) -> None:
    data = bytes((i * 7 + length) % 251 for i in range(length))
    assert (farmhash(data), murmur(data)) == _KNOWN[length]


def test_buckets_of_the_reference() -> None:
    assert [murmur(word) % 100 for word in (b"abc", b"efg", b"hij")] == [33, 44, 66]
    assert [farmhash(word) % 100 for word in (b"1", b"2", b"3")] == [49, 59, 21]
