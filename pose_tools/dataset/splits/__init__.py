"""Dividing data sets into train, val and test, or into folds."""
