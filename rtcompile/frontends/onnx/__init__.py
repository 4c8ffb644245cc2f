"""ONNX's operators as Relax: the walk over a graph, and a file for each family of operators."""
