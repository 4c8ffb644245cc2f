"""Converters of ONNX's operators, one family a file, and the walk over a graph."""
