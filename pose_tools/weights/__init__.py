"""Model files: fetching, checking, loading and publishing them. torch is imported inside functions.

    from pose_tools.weights import fetch, is_present, verify
"""
from pose_tools.weights.store import FileState, fetch, is_present, verify

__all__ = ["FileState", "fetch", "is_present", "verify"]
