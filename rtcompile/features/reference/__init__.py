"""The features in plain Python: the definition that kernels are held to."""
