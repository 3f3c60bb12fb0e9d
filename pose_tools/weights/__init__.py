"""Model files: finding, loading and publishing them. torch is imported inside functions."""
