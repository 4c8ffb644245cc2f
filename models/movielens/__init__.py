"""MovieLens-100K: a DeepFM and a DIN on implicit feedback, from raw rows to scores."""
