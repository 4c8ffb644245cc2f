"""From a model and its features to an artifact."""
