"""Equal graphs that take less work."""
