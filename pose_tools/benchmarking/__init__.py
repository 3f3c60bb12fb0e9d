"""Measuring models: time, memory and operations. What a model needs is imported inside functions."""
