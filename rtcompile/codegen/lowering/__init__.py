"""From the calls of a graph to those of kernels."""
