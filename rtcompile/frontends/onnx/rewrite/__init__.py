"""A graph of ONNX's operators, written otherwise: what the importer need not know."""
