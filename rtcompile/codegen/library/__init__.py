"""From kernels to a shared library."""
