"""Compare a compiled module with the original: when it is built, and wherever it runs later.

network.py       a graph beside ONNX Runtime, on drawn rows
ranking.py       features beside the plain-Python reference, scores beside ONNX Runtime
judge.py         how far off an output may be: by its dtype and the graph's conditioning
rounding.py      a model that came quantized, beside the file in ONNX Runtime
reference.py     the original in ONNX Runtime; float64.py: the original in float64
"""
