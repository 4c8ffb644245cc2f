"""Features of whole files: training data by the kernels that serve."""
