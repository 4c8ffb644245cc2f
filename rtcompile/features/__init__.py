"""Feature configs in, a typed feature plan out; one file a feature type."""
