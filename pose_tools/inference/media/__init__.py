"""What comes in and what goes out: pictures, videos and cameras; video files and a window.

Pictures are BGR (H, W, 3) uint8, upright (EXIF orientation and a video's rotation applied); sizes are (width, height)
in px, times seconds.
"""
from pose_tools.inference.media.encoder import VideoWriter
from pose_tools.inference.media.opening import PICTURE_SUFFIXES, VIDEO_SUFFIXES, open_sources
from pose_tools.inference.media.picture import read_picture
from pose_tools.inference.media.source import Frame, Source
from pose_tools.inference.media.window import Window

__all__ = ["PICTURE_SUFFIXES", "VIDEO_SUFFIXES", "Frame", "Source", "VideoWriter", "Window", "open_sources",
           "read_picture"]
