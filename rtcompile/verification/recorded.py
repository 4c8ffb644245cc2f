"""What an artifact carries to be verified by where it runs: requests, answers, how far off to be.

    section "verification" = zlib(JSON {"format": 1, "cases": [case, ...]})
    case     {"kinds": [text a row], "request": {...}, "outputs": {name: {"want", "allowed"}}}
    request  of a graph {"inputs": {name: array}}; of a ranking model {"user", "items", "context"}:
             raw field -> value, of items and context a value a row
    array    {"dtype", "shape", "data": base64}; a text of bytes is {"bytes": base64}

The answers are those of the original model. Needs numpy alone, so that a serving machine can.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Answer", "Case", "pack_cases", "unpack_cases"]

_FORMAT = 1

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Answer:
    """What an output must be: values, and how far off each may be; infinite where it is open."""

    want: Array
    allowed: npt.NDArray[np.float32]


@dataclass(frozen=True)
class Case:
    """A request and its answers. `kinds`: what is out of the ordinary in each row, or ""."""

    kinds: tuple[str, ...]
    request: Mapping[str, Any]
    outputs: Mapping[str, Answer]


def pack_cases(cases: list[Case]) -> bytes:
    """The section; the same for the same cases."""
    said = [
        {
            "kinds": case.kinds,
            "request": _to_json(case.request),
            "outputs": {
                name: {"want": _to_json(answer.want), "allowed": _to_json(answer.allowed)}
                for name, answer in case.outputs.items()
            },
        }
        for case in cases
    ]
    text = json.dumps({"format": _FORMAT, "cases": said}, separators=(",", ":"), sort_keys=True)
    return zlib.compress(text.encode(), 9)


def unpack_cases(section: bytes) -> list[Case]:
    """The cases of a section. Raises ValueError for one that is none."""
    try:
        # Sections are filled up to whole pages, which follow the compressed bytes.
        whole = json.loads(zlib.decompressobj().decompress(section))
        if whole["format"] != _FORMAT:
            raise ValueError(f"format {whole['format']} instead of {_FORMAT}")
        return [
            Case(
                tuple(case["kinds"]),
                _of_json(case["request"]),
                {
                    name: Answer(_of_json(answer["want"]), _of_json(answer["allowed"]))
                    for name, answer in case["outputs"].items()
                },
            )
            for case in whole["cases"]
        ]
    except (zlib.error, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"cannot be read: {error}") from error


def _to_json(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return {"array": {"dtype": value.dtype.str, "shape": value.shape, "data": data}}
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {"object": [[_to_json(key), _to_json(one)] for key, one in value.items()]}
    if isinstance(value, list | tuple):
        return [_to_json(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value


def _of_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_of_json(one) for one in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        said = value["array"]
        data = np.frombuffer(base64.b64decode(said["data"]), np.dtype(said["dtype"]))
        return data.reshape(said["shape"]).copy()
    if "bytes" in value:
        return base64.b64decode(value["bytes"])
    return {_of_json(key): _of_json(one) for key, one in value["object"]}
