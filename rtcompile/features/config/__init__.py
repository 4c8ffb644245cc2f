"""Feature configs: read, checked, and turned into a plan."""
