"""`ai.onnx.ml`: linear models, and what encodes and scales their inputs.

LinearRegressor    f(x @ W + b)            Scaler       (x - offset) * scale
LinearClassifier   labels, f(x @ W + b)    Normalizer   x / norm(x), of a row
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import numpy_helper
from tvm import relax

from rtcompile.frontends.onnx.operators.node import Node
from rtcompile.frontends.onnx.operators.values import Known

__all__ = ["LINEAR_MODELS"]


def _floats(node: Node, name: str) -> np.ndarray:
    return np.asarray(node.attributes.get(name, ()), np.float32)


def _matrix(node: Node, place: int = 0) -> Any:
    """An input as float32 rows, [n, m]."""
    extents, x = node.shape(place), node.cast(node.tensor(place), "float32")
    if len(extents) == 1:
        return node.reshape(x, [extents[0], 1])
    if len(extents) != 2:
        node.refuse(f"rows of rank {len(extents)}")
    return x


def _post(node: Node, scores: Any) -> Any:
    """What `post_transform` names, of scores [n, m]."""
    name = node.text("post_transform", "NONE")
    if name == "NONE":
        return scores
    if name == "LOGISTIC":
        return node.emit(relax.op.sigmoid(scores))
    if name == "SOFTMAX":
        return node.emit(relax.op.nn.softmax(scores, 1))
    if name == "SOFTMAX_ZERO":
        zero = node.emit(relax.op.equal(scores, node.scalar(0, "float32")))
        low = node.emit(relax.op.where(zero, node.scalar(-np.inf, "float32"), scores))
        soft = node.emit(relax.op.nn.softmax(low, 1))
        return node.emit(relax.op.where(zero, node.scalar(0, "float32"), soft))
    node.refuse(f"post_transform {name} is not supported")


def _scores(node: Node, targets: int) -> Any:
    x = _matrix(node)
    weights = _floats(node, "coefficients").reshape(targets, -1).T
    found = node.emit(relax.op.matmul(x, Known(np.ascontiguousarray(weights)).constant))
    bias = _floats(node, "intercepts")
    return node.emit(relax.op.add(found, Known(bias).constant)) if bias.size else found


def _linear_regressor(node: Node) -> Any:
    return _post(node, _scores(node, node.integer("targets", 1)))


def _linear_classifier(node: Node) -> Any:
    labels = node.attributes.get("classlabels_ints")
    if labels is None:
        node.refuse(
            "its labels are texts: export the scores alone, or a model with numbers for labels"
        )
    rows = _floats(node, "intercepts").size or 1
    scores = _scores(node, rows)
    extents = node.shape(0)
    count = extents[0]
    names = Known(np.asarray(labels, np.int64)).constant
    if rows == 1 and len(labels) == 2:
        above = node.emit(relax.op.greater(scores, node.scalar(0, "float32")))
        picked = node.reshape(node.emit(relax.op.astype(above, "int64")), [count])
        pair = [node.emit(relax.op.negative(scores)), scores]
        if node.text("post_transform", "NONE") == "LOGISTIC":
            one = node.emit(relax.op.sigmoid(scores))
            other = node.emit(relax.op.subtract(node.scalar(1, "float32"), one))
            return [node.emit(relax.op.take(names, picked, 0)), relax.op.concat([other, one], 1)]
        scores = node.emit(relax.op.concat(pair, 1))
    else:
        picked = node.emit(relax.op.argmax(scores, 1, False))
    return [node.emit(relax.op.take(names, picked, 0)), _post(node, scores)]


def _scaler(node: Node) -> Any:
    x = node.cast(node.tensor(0), "float32")
    offset, scale = _floats(node, "offset"), _floats(node, "scale")
    if offset.size:
        x = node.emit(relax.op.subtract(x, Known(offset).constant))
    return relax.op.multiply(x, Known(scale).constant) if scale.size else x


def _normalizer(node: Node) -> Any:
    x = _matrix(node)
    name = node.text("norm", "MAX")
    if name == "L2":
        square = node.emit(relax.op.multiply(x, x))
        norm = node.emit(relax.op.sqrt(node.emit(relax.op.sum(square, [1], True))))
    else:
        size = node.emit(relax.op.abs(x))
        make = relax.op.sum if name == "L1" else relax.op.max
        norm = node.emit(make(size if name == "L1" else x, [1], True))
    empty = node.emit(relax.op.equal(norm, node.scalar(0, "float32")))
    norm = node.emit(relax.op.where(empty, node.scalar(1, "float32"), norm))
    return relax.op.divide(x, norm)


def _binarizer(node: Node) -> Any:
    dtype = node.dtype(0)
    above = relax.op.greater(node.tensor(0), node.scalar(node.number("threshold", 0.0), dtype))
    return relax.op.astype(node.emit(above), dtype)


def _feature_vectorizer(node: Node) -> Any:
    parts = [_matrix(node, place) for place in range(len(node.inputs))]
    widths = node.integers("inputdimensions") or []
    for place, width in enumerate(widths):
        have = node.extents_of(parts[place])[1]
        if isinstance(have, int) and have > width:
            parts[place] = node.emit(relax.op.strided_slice(parts[place], [1], [0], [width]))
    return relax.op.concat(parts, 1) if len(parts) > 1 else parts[0]


def _imputer(node: Node) -> Any:
    dtype = node.dtype(0)
    floats = dtype.startswith("float")
    kind = "float" if floats else "int64"
    values = np.asarray(node.attributes.get(f"imputed_value_{kind}s", ()), np.dtype(dtype))
    replaced = node.attributes.get(f"replaced_value_{kind}", 0)
    x = node.tensor(0)
    if floats and np.isnan(replaced):
        missing = node.emit(relax.op.isnan(x))
    else:
        missing = node.emit(relax.op.equal(x, node.scalar(replaced, dtype)))
    return relax.op.where(missing, Known(values).constant, x)


def _array_feature_extractor(node: Node) -> Any:
    columns = node.constant(1, "columns").ravel().astype(np.int64)
    rank = len(node.shape(0))
    if rank < 2:
        node.refuse("it picks among the rows of a request")
    return relax.op.take(node.tensor(0), Known(columns).constant, rank - 1)


def _one_hot_encoder(node: Node) -> Any:
    categories = node.integers("cats_int64s")
    if categories is None:
        node.refuse("its categories are texts: encode them by a feature of the config")
    x = node.cast(node.tensor(0), "int64")
    wide = node.emit(relax.op.expand_dims(x, [len(node.shape(0))]))
    hit = node.emit(relax.op.equal(wide, Known(np.asarray(categories, np.int64)).constant))
    return relax.op.astype(hit, "float32")


def _label_encoder(node: Node) -> Any:
    """One comparison a key: keys are few, and values of any type."""
    keys, values = _pairs(node, "keys"), _pairs(node, "values")
    if keys is None or values is None:
        node.refuse("its keys or values are texts: encode them by a feature of the config")
    x, found = node.tensor(0), _default(node, values)
    for key, value in zip(keys[::-1], values[::-1], strict=True):
        if keys.dtype.kind == "f" and np.isnan(key):
            same = node.emit(relax.op.isnan(x))
        else:
            same = node.emit(relax.op.equal(x, node.scalar(key, node.dtype(0))))
        found = node.emit(relax.op.where(same, Known(np.asarray(value)).constant, found))
    return found


def _pairs(node: Node, name: str) -> Any:
    if f"{name}_tensor" in node.attributes:
        array = numpy_helper.to_array(node.attributes[f"{name}_tensor"]).ravel()
        return None if array.dtype.kind in "OUS" else array
    for kind, dtype in (("int64s", np.int64), ("floats", np.float32)):
        if f"{name}_{kind}" in node.attributes:
            return np.asarray(node.attributes[f"{name}_{kind}"], dtype)
    return None


def _default(node: Node, values: Any) -> Any:
    if "default_tensor" in node.attributes:
        given = numpy_helper.to_array(node.attributes["default_tensor"]).reshape(-1)[0]
    elif values.dtype == np.int64:
        given = node.integer("default_int64", -1)
    else:
        given = node.number("default_float", -0.0)
    return Known(np.asarray(given, values.dtype)).constant


LINEAR_MODELS: dict[str, Callable[[Node], Any]] = {
    "ArrayFeatureExtractor": _array_feature_extractor,
    "Binarizer": _binarizer,
    "FeatureVectorizer": _feature_vectorizer,
    "Imputer": _imputer,
    "LabelEncoder": _label_encoder,
    "LinearClassifier": _linear_classifier,
    "LinearRegressor": _linear_regressor,
    "Normalizer": _normalizer,
    "OneHotEncoder": _one_hot_encoder,
    "Scaler": _scaler,
}
