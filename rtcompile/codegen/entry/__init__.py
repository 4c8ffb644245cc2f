"""The functions that the runtime and Python call, and those that run a whole request."""
