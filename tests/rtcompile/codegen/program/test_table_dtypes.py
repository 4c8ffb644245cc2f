from __future__ import annotations

import numpy as np
import pytest

from rtcompile.codegen.program.constants import ConstantStore
from rtcompile.codegen.program.table_dtypes import TableDtypes, table_dtypes
from rtcompile.errors import ConfigError, EmbeddingsError


def test_tables_have_the_default_unless_nothing_is_gained() -> None:
    dtypes = TableDtypes("int8")
    assert dtypes.choose("t", 64, 16) == ("int8", "")
    assert dtypes.choose("t", 63, 16) == ("fp32", "fewer than 64 rows")
    assert dtypes.choose("t", 1000, 1) == ("fp32", "not half as large in int8")
    assert dtypes.choose("t", 1000, 2) == ("int8", "")
    assert dtypes.choose(None, 1000, 16) == ("fp32", "folded out of the model's constants")
    assert TableDtypes("fp16").choose("t", 1000, 1) == ("fp16", "")
    assert TableDtypes().choose("t", 3, 1) == ("fp32", "")


def test_a_table_that_is_named_has_its_own() -> None:
    dtypes = table_dtypes("int8", [("a", "fp32"), ("b", "int4")])
    assert dtypes.choose("a", 1000, 16) == ("fp32", "chosen by name")
    assert dtypes.choose("b", 2, 16) == ("int4", "chosen by name")
    assert dtypes.choose("c", 1000, 16) == ("int8", "")


def test_wrong_options_are_named() -> None:
    with pytest.raises(ConfigError, match="'int7' is not known; known are fp32"):
        table_dtypes("int7", [])
    with pytest.raises(ConfigError, match="'double' is not known"):
        table_dtypes("int8", [("a", "double")])
    with pytest.raises(ConfigError, match="'a' is given a dtype more than once"):
        table_dtypes("int8", [("a", "fp16"), ("a", "fp32")])
    with pytest.raises(EmbeddingsError, match=r"'usr_id'.*did you mean 'user_id'"):
        table_dtypes("fp32", [("usr_id", "fp16")]).check_names(["item_id", "user_id"])


def test_a_table_is_stored_once() -> None:
    store = ConstantStore(TableDtypes("int8"))
    table = np.random.default_rng(0).normal(size=(100, 16)).astype(np.float32)
    first = store.add_table("t", table)
    assert store.add_table("t", table.copy()) is first
    assert first.format.dtype == "int8"
    unnamed = store.add_table(None, table)
    assert unnamed.format.dtype == "fp32"
    assert store.add_table(None, table.copy()) is unnamed
    assert [t.name for t in store.tables] == ["t", "table_1"]
    assert list(store.stored_values()) == ["t"]
    with pytest.raises(EmbeddingsError, match="two tables that differ are called 't'"):
        store.add_table("t", table + 1)
