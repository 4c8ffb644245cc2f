"""nn.EmbeddingBag as torch's exporters write it: a loop over the bags, in three forms."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.rtcompile.frontends.graphs import Array, graph

__all__ = ["ids_of_bags", "masked_bag", "scanned_bag", "sequence_bag"]

_TABLE = np.random.default_rng(1).normal(size=(50, 8)).astype(np.float32)


def ids_of_bags(rows: int, size: int = 6) -> Array:
    """Ids [rows, size] of the table."""
    return np.random.default_rng(rows).integers(0, 50, (rows, size))


def _reduced(operator: str, value: str, opset: int, keepdims: int) -> str:
    by_input = operator == "ReduceSum" or opset >= 18
    attributes = f"keepdims = {keepdims}" if by_input else f"axes = [0], keepdims = {keepdims}"
    return f"{operator}<{attributes}>({value}{', zero1' if by_input else ''})"


def scanned_bag(reduction: str, opset: int = 17) -> Any:
    """The older exporter: each turn gives a bag as a scan output."""
    text = f"""g (int64[N,6] id) => (float[N,8] y) {{
  flat = Reshape(id, minus1)
  shape = Shape(id)
  first = Gather<axis = 0>(shape, zero)
  size = Gather<axis = 0>(shape, one)
  total = Mul(first, size)
  starts = Range(zero, total, size)
  length = Shape(flat)
  bounds = Concat<axis = 0>(starts, length)
  ends = Slice(bounds, one1, last1, zero1)
  many = Shape(ends)
  n = Gather<axis = 0>(many, zero)
  y = Loop(n, going) <body = b (int64 i, bool c) => (bool d, float[8] bag) {{
    s = Gather<axis = 0>(bounds, i)
    e = Gather<axis = 0>(ends, i)
    s1 = Unsqueeze(s, zero1)
    e1 = Unsqueeze(e, zero1)
    ids = Slice(flat, s1, e1, zero1)
    rows = Gather<axis = 0>(table, ids)
    bag = {_reduced(reduction, "rows", opset, 0)}
    d = Identity(c)
  }}>
}}"""
    return graph(
        text,
        opset,
        table=_TABLE,
        minus1=np.array([-1]),
        zero=np.array(0),
        one=np.array(1),
        zero1=np.array([0]),
        one1=np.array([1]),
        last1=np.array([2**63 - 1]),
        going=np.array(True),
    )


def sequence_bag(reduction: str, weighted: bool = False) -> Any:
    """The newer exporter: a loop inserts each bag into a sequence; the last bag has a branch of
    its own."""
    inputs = "int64[N,6] id" + (", float[N,6] w" if weighted else "")
    factors = "Reshape(w, minus1)" if weighted else "Expand(unit, length)"
    text = f"""g ({inputs}) => (float[N,8] y) {{
  flat = Reshape(id, minus1)
  length = Shape(flat)
  first = Shape<start = 0, end = 1>(id)
  rows = Squeeze(first)
  total = Mul(rows, six)
  starts = Range(zero, total, six)
  factors = {factors}
  column = Unsqueeze(factors, one1)
  looked = Gather(table, flat)
  values = Mul(looked, column)
  n = Size(starts)
  bounds = Concat<axis = 0>(starts, length)
  going = Less(zero, n)
  empty = SequenceEmpty()
  bags, left = Loop(, going, empty, zero) <body = b (int64 t, bool c, seq(float) found, int64 i)
      => (bool d, seq(float) more, int64 next) {{
    at = Reshape(i, minus1)
    unit1 = CastLike(one, at)
    after = Add(at, unit1)
    start = Slice(bounds, at, after)
    behind = Add(after, unit1)
    end = Slice(bounds, after, behind)
    none = Equal(start, end)
    bag = If(none) <
      then_branch = t1 () => (float[1,8] zeros) {{
        zeros = Constant<value = float[1,8] {{0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0}}>()
      }},
      else_branch = e1 () => (float[1,8] whole) {{
        back = Sub(n, one)
        ends = Equal(i, back)
        mine = If(ends) <
          then_branch = t2 () => (float[M,8] a) {{ a = Slice(values, start, length) }},
          else_branch = e2 () => (float[M,8] b2) {{ b2 = Slice(values, start, end) }}>
        whole = {_reduced(reduction, "mine", 20, 1)}
      }}>
    more = SequenceInsert(found, bag)
    next = Add(i, one)
    d = Less(next, n)
  }}>
  y = ConcatFromSequence<axis = 0>(bags)
}}"""
    return graph(
        text,
        20,
        table=_TABLE,
        minus1=np.array([-1]),
        zero=np.array(0),
        one=np.array(1),
        six=np.array(6),
        zero1=np.array([0]),
        one1=np.array([1]),
        unit=np.ones(1, np.float32),
    )


def masked_bag(reduction: str, size: int = 6) -> Any:
    """The newer exporter with a padding_idx: a loop within collects what is no padding."""
    text = f"""g (int64[N,{size}] id) => (float[N,8] y) {{
  flat = Reshape(id, minus1)
  values = Gather(table, flat)
  first = Shape<start = 0, end = 1>(id)
  rows = Squeeze(first)
  total = Mul(rows, six)
  starts = Range(zero, total, six)
  n = Size(starts)
  length = Shape(flat)
  bounds = Concat<axis = 0>(starts, length)
  going = Less(zero, n)
  empty = SequenceEmpty()
  left, bags = Loop(, going, zero, empty) <body = b (int64 t, bool c, int64 i, seq(float) found)
      => (bool d, int64 next, seq(float) more) {{
    start = Gather(bounds, i)
    after = Add(i, one)
    end = Gather(bounds, after)
    any = Less(start, end)
    last, picked = Loop(, any, start, nothing) <body = b3 (int64 t3, bool c3, int64 j, int64[K] had)
        => (bool d3, int64 j3, int64[K] has) {{
      index = Gather(flat, j)
      zero3 = CastLike(zero, index)
      back = Less(index, zero3)
      counted = If(back) <
        then_branch = t4 () => (int64 wrapped) {{ wrapped = Add(index, fifty) }},
        else_branch = e4 () => (int64 plain) {{ plain = Identity(index) }}>
      padding = Equal(counted, zero)
      kept = Not(padding)
      has = If(kept) <
        then_branch = t5 () => (int64[K] longer) {{
          place = Reshape(j, minus1)
          longer = Concat<axis = 0>(had, place)
        }},
        else_branch = e5 () => (int64[K] same) {{ same = Identity(had) }}>
      j3 = Add(j, one)
      d3 = Less(j3, end)
    }}>
    many = Size(picked)
    none = Equal(many, zero)
    bag = If(none) <
      then_branch = t6 () => (float[1,8] zeros) {{
        zeros = Constant<value = float[1,8] {{0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0}}>()
      }},
      else_branch = e6 () => (float[1,8] whole) {{
        mine = Gather(values, picked)
        whole = {_reduced(reduction, "mine", 20, 1)}
      }}>
    more = SequenceInsert(found, bag)
    next = Add(i, one)
    d = Less(next, n)
  }}>
  y = ConcatFromSequence<axis = 0>(bags)
}}"""
    return graph(
        text,
        20,
        table=_TABLE,
        nothing=np.zeros(0, np.int64),
        minus1=np.array([-1]),
        zero=np.array(0),
        one=np.array(1),
        six=np.array(size),
        fifty=np.array(50),
        zero1=np.array([0]),
    )
