"""What a manifest must say: its entries, their types and ranges, and what they refer to.

A digest says that a file is what was written, not that this runtime can read it. An entry that is
missing or wrong is refused by its path, `stages.cross.inputs[2].dtype`, before anything uses it.
Entries that are not named here are let through: they are for people and tools.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from rtcompile.runtime.encoding.column_spec import KINDS, ColumnSpec
from rtcompile.runtime.encoding.text_steps import STEPS
from rtcompile.runtime.memory.arrays import DTYPE_NAMES
from rtcompile.runtime.shorten import short_repr

__all__ = ["ManifestError", "check_manifest", "check_whole"]

Check = Callable[[Any, str], None]  # of a value and its path

_MOST = 1 << 48  # of bytes, rows, places: what an address can reach
_SIDES = ("user", "item", "context")


class ManifestError(ValueError):
    """An entry is missing or wrong; the message names it."""


def _refuse(path: str, needed: str, value: object) -> None:
    raise ManifestError(f"{path or 'the manifest'}: {needed} is needed, not {short_repr(value)}")


def _whole(least: int = 0) -> Check:
    def check(value: Any, path: str) -> None:
        if type(value) is not int or not least <= value <= _MOST:
            _refuse(path, f"an integer from {least} on", value)

    return check


def _text(*allowed: str) -> Check:
    def check(value: Any, path: str) -> None:
        if not isinstance(value, str) or (allowed and value not in allowed):
            _refuse(path, f"one of {', '.join(allowed)}" if allowed else "text", value)

    return check


def _bytes(value: Any, path: str) -> None:
    if not isinstance(value, str) or any(ord(character) > 255 for character in value):
        _refuse(path, "text of bytes", value)


def _number(value: Any, path: str) -> None:
    if type(value) not in (int, float) or not math.isfinite(value):
        _refuse(path, "a number", value)


def _flag(value: Any, path: str) -> None:
    if not isinstance(value, bool):
        _refuse(path, "true or false", value)


def _optional(check: Check) -> Check:
    return lambda value, path: None if value is None else check(value, path)


def _list(check: Check, count: int | None = None) -> Check:
    def check_list(value: Any, path: str) -> None:
        if not isinstance(value, list) or (count is not None and len(value) != count):
            _refuse(path, "a list" if count is None else f"a list of {count}", value)
        for index, one in enumerate(value):
            check(one, f"{path}[{index}]")

    return check_list


def _table(check: Check) -> Check:
    def check_table(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            _refuse(path, "an object", value)
        for name, one in value.items():
            check(one, _below(path, name))

    return check_table


def _record(
    required: Mapping[str, Check],
    optional: Mapping[str, Check] | None = None,
    closed: bool = False,
) -> Check:
    """An object with entries of these names; `closed`: and no others."""
    known = {**required, **(optional or {})}

    def check_record(value: Any, path: str) -> None:
        if not isinstance(value, dict):
            _refuse(path, "an object", value)
        for name in required:
            if name not in value:
                raise ManifestError(f"{_below(path, name)}: is missing")
        for name, one in value.items():
            if name in known:
                known[name](one, _below(path, name))
            elif closed:
                raise ManifestError(f"{_below(path, name)}: is unknown to this runtime")

    return check_record


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


# -- records ----------------------------------------------------------------------------------


def _step(value: Any, path: str) -> None:
    _record({"step": _text(*STEPS)})(value, path)
    of_step = {f.name: _BY_TYPE[str(f.type)] for f in fields(STEPS[value["step"]])}
    _record({"step": _text(), **of_step}, closed=True)(value, path)


# By the annotations of the dataclasses that are read from the manifest.
_BY_TYPE: dict[str, Check] = {
    "str": _text(),
    "bytes": _bytes,
    "bytes | None": _optional(_bytes),
    "int": _whole(),
    "bool": _flag,
    "Asset": _text(),
    "tuple[str, ...]": _list(_text()),
    "tuple[TextStep, ...]": _list(_step),
    "LibraryFunction | None": _optional(_record({"symbol": _text(), "library": _text()})),
}
_COLUMN = _record(
    {
        **{f.name: _BY_TYPE[str(f.type)] for f in fields(ColumnSpec)},
        "kind": _text(*KINDS),
        "side": _text(*_SIDES),
    },
    closed=True,
)
_SIZES = _list(_whole())
_PORT = _record(
    {"name": _text(), "dtype": _text(*DTYPE_NAMES), "shape": _SIZES, "per_request": _flag},
    {"flat": _flag, "cuts": _list(_text()), "last_offset": _flag},
)
_FEATURE = _record(
    {
        "name": _text(),
        "sparse": _flag,
        "sequence": _flag,
        "weighted": _flag,
        "value_dim": _whole(),
        "reads": _SIZES,
        "fanout": _whole(),
    }
)


def _source(value: Any, path: str) -> None:
    _list(lambda one, at: None, 2)(value, path)
    _text()(value[0], f"{path}[0]")
    _whole()(value[1], f"{path}[1]")


# What an index or a divisor is checked against, for the message where it fails.
_LOOKUP = _record(
    {"table": _text(), "places": _SIZES, "origins": _list(_text()), "unsigned": _flag}
)
_NETWORK = {
    "inputs": _list(_PORT),
    "outputs": _list(_PORT),
    "workspace_bytes": _whole(64),
    "tile_rows": _whole(1),
    "lookups": _list(_LOOKUP),
    "features": _list(_text()),
    "single_row": _flag,
    "input_table": _flag,
    "output_table": _flag,
    "calibration_words": _whole(),
    "tallied": _list(_text()),
    "calls": _whole(),
    "kernels": _whole(),
}
_PROBES = {"probes": _list(_record({"kernel": _text(), "calls": _whole()}))}
_SOURCES = {"sources": _list(_source)}
_COLUMNS = {
    "columns": _list(_COLUMN),
    "columns_out": _list(_FEATURE),
    "scratch_per_byte": _whole(),
    "scratch_per_shared": _whole(),
    "scratch_per_row": _whole(),
    "scratch_bytes": _whole(),
}
_SPAN = {"offset": _whole(), "length": _whole()}
_TARGET = _record({"name": _text(), "machine": _text(), "features": _list(_text())})
_VARIANT = {
    "target": _TARGET,
    "stages": _table(_record({})),
    "serve": _list(_text()),
    "assets": _table(_record(_SPAN)),
}
_FILE = _record(
    {
        "file_bytes": _whole(),
        "sections": _table(_record({**_SPAN, "sha256": _text()})),
    },
    {
        "variants": _list(_record({"target": _TARGET, "module": _text()})),
        "target": _TARGET,
        "module": _text(),
        "constants": _text(),
    },
)
_CHOSEN = _record(
    {
        "kind": _text("graph", "ranking"),
        **_VARIANT,
        "fields": _table(_list(_text())),
        "tables": _list(
            _record(
                {
                    **dict.fromkeys(("name", "dtype", "note"), _text()),
                    **dict.fromkeys(("bytes", "offset", "rows", "dimension"), _whole()),
                }
            )
        ),
        "tuning": _record({name: _whole() for name in ("tuned", "reused", "defaulted")}),
        "left_out": _record(
            {"outputs": _list(_text()), "inputs": _list(_text()), "operators": _whole()}
        ),
        "provenance": _record({}),
    },
    {
        "tags": _table(_text()),
        "precision": _record({"layers": _list(_record({}))}),
        "verification": _record(
            {
                "verified": _flag,
                "rows": _whole(),
                "largest_difference": _optional(_number),
                "carried_bytes": _whole(),
                "slack": _number,
            }
        ),
    },
)


# -- the whole --------------------------------------------------------------------------------


def check_whole(manifest: Any) -> None:
    """What is said of the file and its sections. Raises ManifestError."""
    _FILE(manifest, "")
    if manifest.get("variants") == []:
        raise ManifestError("variants: one at least is needed")
    for name, section in manifest["sections"].items():
        if section["offset"] + section["length"] > manifest["file_bytes"]:
            raise ManifestError(f"sections.{name}: lies beyond the end of the file")


def check_manifest(manifest: Any, constants_bytes: int) -> None:
    """What is said of the module that is loaded, whose constants are so many bytes.

    Raises ManifestError.
    """
    _CHOSEN(manifest, "")
    for name, span in manifest["assets"].items():
        if span["offset"] + span["length"] > constants_bytes:
            raise ManifestError(f"assets.{name}: lies beyond the end of the constants")
    stages, is_ranking = manifest["stages"], manifest["kind"] == "ranking"
    for name, stage in stages.items():
        required = dict(_NETWORK)
        if name in _SIDES or name.startswith("extract_"):
            required |= _COLUMNS
        elif is_ranking:
            required |= _SOURCES
        _record(required, _PROBES)(stage, f"stages.{name}")
        _check_cuts(stage["inputs"], f"stages.{name}.inputs")
    if "cross" not in stages:
        raise ManifestError("stages.cross: is missing")
    if is_ranking:
        _check_references(manifest, stages)


def _check_cuts(inputs: Sequence[Mapping[str, Any]], path: str) -> None:
    flat = {port["name"] for port in inputs if port.get("flat")}
    for index, port in enumerate(inputs):
        if port.get("flat") and not (port["per_request"] and port["shape"] == []):
            raise ManifestError(f"{path}[{index}]: flat inputs are shared, and have no extents")
        for name in port.get("cuts", ()):
            if name not in flat:
                raise ManifestError(f"{path}[{index}].cuts: no flat input is {short_repr(name)}")
        if port.get("cuts") and (port["dtype"], port["shape"]) != ("int64", [2]):
            raise ManifestError(f"{path}[{index}]: bounds are int64 [2]")


def _check_references(manifest: Mapping[str, Any], stages: Mapping[str, Any]) -> None:
    for side in _SIDES:
        if side not in manifest["fields"]:
            raise ManifestError(f"fields.{side}: is missing")
    for index, name in enumerate(manifest["serve"]):
        if name not in stages:
            raise ManifestError(f"serve[{index}]: there is no stage {short_repr(name)}")
    for name, stage in stages.items():
        for index, (source, at) in enumerate(stage.get("sources", ())):
            path = f"stages.{name}.sources[{index}]"
            if source not in stages or at >= len(stages[source]["outputs"]):
                raise ManifestError(f"{path}: stage {short_repr(source)} has no output {at}")
        for index, column in enumerate(stage.get("columns", ())):
            _check_assets(column, manifest["assets"], f"stages.{name}.columns[{index}]")
        _check_features(stage, f"stages.{name}", name.startswith("extract_"))


def _check_assets(column: Mapping[str, Any], assets: Mapping[str, Any], path: str) -> None:
    named = [step["model"] for step in column["steps"] if "model" in step]
    if column["function"] is not None:
        named.append(column["function"]["library"])
    for name in named:
        if name not in assets:
            raise ManifestError(f"{path}: there is no asset {short_repr(name)}")


def _check_features(stage: Mapping[str, Any], path: str, is_extract: bool) -> None:
    outputs = {port["name"] for port in stage["outputs"]}
    for index, feature in enumerate(stage.get("columns_out", ())):
        for read in feature["reads"]:
            if read >= len(stage["columns"]):
                raise ManifestError(f"{path}.columns_out[{index}].reads: there is no column {read}")
        parts = ["values"]
        parts += ["cursor", "counts"] if feature["sparse"] else []
        parts += ["lengths"] if feature["sequence"] else []
        parts += ["weights"] if feature["sparse"] and feature["weighted"] else []
        missing = [part for part in parts if f"{feature['name']}.{part}" not in outputs]
        if is_extract and missing:
            raise ManifestError(f"{path}.columns_out[{index}]: no output has its {missing[0]}")
