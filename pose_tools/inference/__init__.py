"""Running trained models. torch is imported inside functions."""
