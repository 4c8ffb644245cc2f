"""ConvTranspose with dilations. TVM fills the weight up with zeros, and an infinity or NaN of the
operand times such a zero is NaN; here only the weight's own values are read.

    y[n, g * O + o, i] = sum over c, k of x[n, g * C + c, j] * w[g * C + c, o, k] + bias[g * O + o]
                         for the k where j = (i + pad - k * dilation) / stride is a place of x
"""

from __future__ import annotations

from typing import Any

from tvm import relax, te, tirx

from rtcompile.frontends.onnx.operators.node import Node

__all__ = ["dilated_transposed_convolution"]


def dilated_transposed_convolution(node: Node) -> Any:
    """The result of a ConvTranspose node whose pads are written out."""
    if node.text("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        node.refuse("auto_pad beside dilations is not supported: export the model with pads")
    sizes, weights = node.shape(0)[2:], node.shape(1)
    if any(not isinstance(size, int) for size in (*sizes, *weights)):
        node.refuse("the extents of its operand or of its weight are not known")
    rank, group = len(sizes), node.integer("group", 1)
    strides = node.integers("strides") or [1] * rank
    dilations = node.integers("dilations") or [1] * rank
    pads = node.integers("pads") or [0] * 2 * rank
    behind = node.integers("output_padding") or [0] * rank
    depth, width, kernel = weights[0] // group, weights[1], weights[2:]
    counts = [
        strides[a] * (sizes[a] - 1) + (kernel[a] - 1) * dilations[a] + 1 + behind[a]
        - pads[a] - pads[a + rank]
        for a in range(rank)
    ]  # fmt: skip

    def compute(x: Any, weight: Any) -> Any:
        channel = te.reduce_axis((0, depth), "c")
        steps = [te.reduce_axis((0, extent), f"k{a}") for a, extent in enumerate(kernel)]

        def at(n: Any, o: Any, *place: Any) -> Any:
            inside, source = [], []
            for a, (own, step) in enumerate(zip(place, steps, strict=True)):
                reach = own + pads[a] - step * dilations[a]
                index = tirx.floordiv(reach, strides[a])
                inside += [tirx.floormod(reach, strides[a]) == 0, index >= 0, index < sizes[a]]
                source.append(index)
            condition = inside[0]
            for more in inside[1:]:
                condition = tirx.And(condition, more)
            read = tirx.floordiv(o, width) * depth + channel
            product = x[(n, read, *source)] * weight[(read, tirx.floormod(o, width), *steps)]
            zero = tirx.const(0, str(x.dtype))
            return te.sum(tirx.if_then_else(condition, product, zero), axis=[channel, *steps])

        extents = [tirx.IntImm("int64", extent) for extent in (group * width, *counts)]
        return te.compute([x.shape[0], *extents], at, name="dilated_transposed_convolution")

    found = node.block.emit_te(
        compute, node.tensor(0), node.tensor(1), primfunc_name_hint="dilated_transposed_convolution"
    )
    if not node.has(2):
        return found
    bias = node.emit(relax.op.reshape(node.tensor(2), [1, -1, *[1] * rank]))
    return relax.op.add(found, bias)
