"""Downloading: from where a file can be had to a checked file under its name. Nothing heavy is imported here."""
from pose_tools.weights.download.failure import SourceFailed
from pose_tools.weights.download.jobs import Job, Progress
from pose_tools.weights.download.limits import Limits
from pose_tools.weights.download.several import download

__all__ = ["Job", "Limits", "Progress", "SourceFailed", "download"]
