"""Operators that are refused for what they are, whatever their form: the reason, and what to do."""

from __future__ import annotations

__all__ = ["REFUSED"]

_COUNT = "the extents of its result depend on data, and those of a compiled graph are fixed"
_MASK = "; keep all values and a mask, and multiply or Where by it"
_RANDOM = "it draws at random: export the model for inference"
_TEXT = "it works on text: let a feature of the config do that in front of the graph"
_SEQUENCE = "sequences of tensors are not supported: export the model with one tensor, or several"
_OPTIONAL = "optional values are not supported: export the model with a tensor"
_SIGNAL = "transforms of signals are not supported: compute them in front of the graph"
_IMAGE = "operators on images are not supported: compute what it gives in front of the graph"
_TREES = "forests inside a graph are not supported: compile the forest itself"
_TRAINING = "it is a step of training: export the model for inference"

_BY_REASON: dict[str, tuple[str, ...]] = {
    _COUNT + _MASK: ("Compress", "NonMaxSuppression", "NonZero", "Unique"),
    _RANDOM: (
        *("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform"),
        "RandomUniformLike",
    ),
    _TEXT: (
        *("RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer"),
        *("CategoryMapper", "DictVectorizer"),
    ),
    _SEQUENCE: (
        *("ConcatFromSequence", "SequenceAt", "SequenceConstruct", "SequenceEmpty"),
        *("SequenceErase", "SequenceInsert", "SequenceLength", "SequenceMap", "SplitToSequence"),
        *("ZipMap", "CastMap"),
    ),
    _OPTIONAL: ("Optional", "OptionalGetElement", "OptionalHasElement"),
    _SIGNAL: (
        *("BlackmanWindow", "DFT", "HammingWindow", "HannWindow", "MelWeightMatrix", "STFT"),
    ),
    _IMAGE: (
        *("Col2Im", "DeformConv", "GridSample", "ImageDecoder", "MaxRoiPool", "MaxUnpool"),
        *("RoiAlign", "AffineGrid"),
    ),
    _TREES: ("TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor"),
    _TRAINING: ("Adagrad", "Adam", "Gradient", "Momentum"),
    "kernel machines are not supported: export another model": ("SVMClassifier", "SVMRegressor"),
}

REFUSED: dict[str, str] = {
    operator: reason for reason, operators in _BY_REASON.items() for operator in operators
}
