"""Compute attention scores only where a sequence has elements; padding gets a constant.

A user's sequence is padded to L positions, and a mask takes what lies behind its end out of the
weights. The layers that score the positions are most of such a model's work, and what they make of
padding is thrown away. All items of a request share the user's sequence, so its length l is one
number a request; the scores' layers then run over l rows an item in the place of L:

    h = rtc.dense...(multiply(q, k), ...)        [n, L, m], q [n, 1, d], k [1, L, d]
    s = rtc.dense...(h, ...)                     [n, L, 1]
    softmax(reshape(s) + bias)                   bias [1, L], of the user
      ->  l = rtc.positions.above.p(bias)        once a request
          x = rtc.trim.product(q, k, l)          [p, d], p = n l rows
          h = rtc.dense...(x, ...)               [p, m]
          t = rtc.dense...(h, ...)               [p, 1]
          s = rtc.pad_positions(t, l)            [n, L, 1], zeros behind l
          softmax(reshape(s) + bias)

What reads the scores decides what may be left out:

    softmax(s + bias)      positions behind the last one whose bias is not 1e8 below the largest:
                           their weight is exactly 0, unless scores differ by as much
    multiply(f(s), mask)   those behind the last one of the mask that is not zero; f is finite at 0
    where(mask, s, c)      those behind the last one that is taken

A mask that leaves nothing out changes nothing: l is L then. One that leaves every position out has
l = 1, so that the scores of an item with NaN are NaN there too. Infinite or NaN scores of padding
alone, which a product with 0 would spread, are not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm import relax, tirx
from tvm.ir import IRModule

from rtcompile.relay_passes.dialect.epilogue import Epilogue
from rtcompile.relay_passes.kernels.fuse_dense import DENSE, dense_steps, is_dense
from rtcompile.relay_passes.lift.lift_softmax import SOFTMAX
from rtcompile.relay_passes.matching import (
    bindings,
    call_name,
    constant_array,
    dtype_of,
    kernel_symbol,
    rewrite_main,
    shape_of,
    use_counts,
)
from rtcompile.relay_passes.report import PassReport

__all__ = ["MOST_POSITIONS", "PAD_POSITIONS", "POSITIONS", "TRIM", "most_rows", "trim_sequences"]

POSITIONS, TRIM, PAD_POSITIONS = "rtc.positions", "rtc.trim", "rtc.pad_positions"

# Kernels divide a row by the length in 32 bits of fraction
# (`rtcompile/codegen/kernels/epilogue.py`).
MOST_POSITIONS = 4096

_TRIMMED = "trimmed_"

# Between the scores and their mask: finite at zero, and element by element.
_FINITE = ("relax.sigmoid", "relax.tanh", "relax.nn.relu", "relax.exp")
_SCALINGS = ("relax.multiply", "relax.add", "relax.subtract", "relax.divide")


def most_rows(extent: Any) -> int:
    """The most rows, for each row of the batch, that a symbolic row count stands for."""
    name = str(getattr(extent, "name", ""))
    return int(name.split("_")[1]) if name.startswith(_TRIMMED) else 1


@dataclass(frozen=True)
class _Masked:
    """Scores whose padding is masked. `form`: which positions count, by `rtc.positions`."""

    scores: Any
    mask: Any
    form: str


@dataclass(frozen=True)
class _Scoring:
    """The layers that make scores, the first one first, and where their padding ends."""

    layers: list[Any]
    length: int
    masked: _Masked


class _Matcher:
    def __init__(self, function: Any, report: PassReport) -> None:
        self._bound, self._uses = bindings(function), use_counts(function)
        self._params, self._report = list(function.params), report

    def found(self) -> dict[Any, _Scoring]:
        """By the variable of the last layer."""
        scorings = {}
        for value in self._bound.values():
            masked = self._masked(value)
            scoring = None if masked is None else self._scoring(masked)
            if scoring is not None:
                scorings[scoring.layers[-1]] = scoring
        return scorings

    def _masked(self, value: Any) -> _Masked | None:
        if kernel_symbol(value).startswith(f"{SOFTMAX}."):
            added: Any = self._bound.get(value.args[1].fields[0])
            if call_name(added) == "relax.add" and self._uses[value.args[1].fields[0]] == 1:
                return self._with_mask(added.args, "above")
        if call_name(value) == "relax.multiply":
            return self._with_mask(value.args, "nonzero")
        if call_name(value) == "relax.where":
            mask, *sides = value.args
            for place, form in enumerate(("nonzero", "zero")):
                replaced = constant_array(sides[1 - place])
                if self._is_users(mask) and replaced is not None and replaced.size == 1:
                    return _Masked(sides[place], mask, form)
        return None

    def _with_mask(self, operands: Any, form: str) -> _Masked | None:
        for scores, mask in (tuple(operands), tuple(reversed(operands))):
            if isinstance(scores, relax.Var) and self._is_users(mask):
                return _Masked(scores, mask, form)
        return None

    def _is_users(self, value: Any) -> bool:
        """Whether a value has one row, and so is known before the items' scores."""
        is_param = any(value.same_as(param) for param in self._params)
        extents = shape_of(value) if is_param else None
        return extents is not None and extents[:1] == (1,)

    def _scoring(self, masked: _Masked) -> _Scoring | None:
        last = self._behind_steps(masked)
        if last is None:
            return None
        extents = shape_of(last) or ()
        if len(extents) != 3 or isinstance(extents[0], int) or extents[2] != 1:
            return None
        length = extents[1]
        if _elements(masked.mask) != length or _elements(masked.scores) != length:
            return None
        layers = [last]
        while (source := self._source(layers[0])) is not None:
            layers.insert(0, source)
        if length > MOST_POSITIONS:
            self._report.refused.append(f"a sequence of {length} positions")
            return None
        refused = [reason for layer in layers for reason in self._refusals(layer, length)]
        if refused:
            self._report.refused += refused
            return None
        return _Scoring(layers, length, masked)

    def _behind_steps(self, masked: _Masked) -> Any:
        """The dense layer that the scores come from, through steps that nobody else reads."""
        var = masked.scores
        while isinstance(var, relax.Var) and self._uses.get(var) == 1 and var in self._bound:
            value = self._bound[var]
            if is_dense(value):
                return var
            if not _is_finite_step(value):
                return None
            var = value.args[0]
        return None

    def _source(self, layer: Any) -> Any:
        """The layer that only this one reads."""
        source = self._bound[layer].args[1].fields[0]
        is_layer = isinstance(source, relax.Var) and is_dense(self._bound.get(source))
        return source if is_layer and self._uses[source] == 1 else None

    def _refusals(self, layer: Any, length: int) -> list[str]:
        """Why a layer cannot run over fewer positions."""
        forms = Epilogue.parse(dense_steps(self._bound[layer])).streams
        known = ("one", "row", f"div{length}", f"mod{length}")
        return [
            f"a stream by {form} over {length} positions" for form in forms if form not in known
        ]


def _elements(value: Any) -> int:
    """Of a row."""
    count = 1
    for extent in (shape_of(value) or ())[1:]:
        count *= extent if isinstance(extent, int) else 0
    return count


def _is_finite_step(value: Any) -> bool:
    """Whether a value is computed element by element from its first operand, finite at zero."""
    name = call_name(value)
    if name == "relax.reshape" or name in _FINITE:
        return True
    array = constant_array(value.args[1]) if name in _SCALINGS else None
    if array is None or array.size != 1:
        return False
    magnitude = float(abs(array).max())
    return magnitude < 1e30 and (name != "relax.divide" or magnitude > 1e-30)


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        function = mod["main"]
        self._report = report
        self._bound, self._uses = bindings(function), use_counts(function)
        self._found = _Matcher(function, report).found()
        self._positions: dict[tuple[Any, str], tuple[Any, Any]] = {}
        self._var: Any = None

    def visit_var_binding_(self, binding: Any) -> None:
        self._var = binding.var
        super().visit_var_binding_(binding)

    def visit_call_(self, op: Any) -> Any:
        scoring = self._found.get(self._var)
        if scoring is None:
            return super().visit_call_(op)
        self._report.applied += 1
        end, rows = self._end(scoring)
        value = self._entry(self._bound[scoring.layers[0]].args[1].fields[0], end, rows)
        for layer in scoring.layers:
            value = self.builder_.emit(self._trimmed(layer, value, rows, scoring.length))
        return relax.op.call_dps_packed(PAD_POSITIONS, relax.Tuple([value, end]), out_ty=op.ty)

    def _end(self, scoring: _Scoring) -> tuple[Any, Any]:
        """(how many positions count, the symbol for as many rows an item), once a mask."""
        key = (scoring.masked.mask, scoring.masked.form)
        if key not in self._positions:
            name = f"{_TRIMMED}{scoring.length}_{len(self._positions)}"
            call = relax.op.call_dps_packed(
                f"{POSITIONS}.{scoring.masked.form}.{name}",
                relax.Tuple([self.visit_expr(scoring.masked.mask)]),
                out_ty=relax.TensorType([1], "int64"),
            )
            self._positions[key] = (self.builder_.emit(call), tirx.Var(name, "int64"))
        return self._positions[key]

    def _entry(self, source: Any, end: Any, rows: Any) -> Any:
        """What the first layer reads, of the positions that count: a product, or a copy."""
        ty = relax.TensorType([rows, (shape_of(source) or ())[-1]], dtype_of(source))
        value: Any = self._bound.get(source)
        factors = _factors(value) if self._uses[source] == 1 else None
        name, fields = (f"{TRIM}.product", factors) if factors else (TRIM, (source,))
        arguments = relax.Tuple([*map(self.visit_expr, fields), end])
        return self.builder_.emit(relax.op.call_dps_packed(name, arguments, out_ty=ty))

    def _trimmed(self, layer: Any, source: Any, rows: Any, length: int) -> Any:
        call = self._bound[layer]
        _, weight, bias, *streams = call.args[1].fields
        forms = {f"div{length}": "div0", f"mod{length}": "mod0"}
        text = str(Epilogue.parse(dense_steps(call)).with_forms(forms))
        ty = relax.TensorType([rows, (shape_of(layer) or ())[-1]], "float32")
        fields = [source, weight, bias, *map(self.visit_expr, streams)]
        name = f"{DENSE}.{text}" if text else DENSE
        return relax.op.call_dps_packed(name, relax.Tuple(fields), out_ty=ty)


def _factors(value: Any) -> tuple[Any, Any] | None:
    """(q [n, 1, d], k [1, L, d]) of a product of the two."""
    if call_name(value) != "relax.multiply" or dtype_of(value) != "float32":
        return None
    for query, key in (tuple(value.args), tuple(reversed(value.args))):
        one, other = shape_of(query) or (), shape_of(key) or ()
        fits = len(one) == len(other) == 3 and one[1] == other[0] == 1 and one[2] == other[2]
        if fits and not isinstance(one[0], int) and constant_array(key) is None:
            return query, key
    return None


def trim_sequences(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such scoring of `main`. Idempotent: trimmed rows have no axis of positions."""
    return rewrite_main(mod, _Rewriter(mod, report))
