"""The ABI: every memory layout that compiled code and the runtime share, one file a function."""
