"""Feature kernels: from encoded raw columns to what the network reads, one pass over the bytes."""
