"""Models of open libraries with seeded random weights, as ONNX graphs."""
