"""Draws boxes, skeletons, heat maps and contact sheets, and reads and writes pictures; see the modules it names."""
from __future__ import annotations

from pose_tools.report.drawing.heat import draw_heatmap
from pose_tools.report.drawing.instances import draw_instances
from pose_tools.report.drawing.palettes import Palette, keypoint_colours, track_colour
from pose_tools.report.drawing.pictures import JPEG_QUALITY, contact_sheet, imread, imwrite
from pose_tools.report.drawing.strokes import (
    BOX,
    INK,
    LEFT,
    MIDDLE,
    OUTLINE,
    PAPER,
    RIGHT,
    SHIFT,
    clip_segment,
)
from pose_tools.report.drawing.style import DrawStyle, check_style
from pose_tools.report.drawing.vehicle import draw_vehicle_pose

__all__ = ["BOX", "INK", "JPEG_QUALITY", "LEFT", "MIDDLE", "OUTLINE", "PAPER", "RIGHT", "SHIFT", "DrawStyle", "Palette",
           "check_style", "clip_segment", "contact_sheet", "draw_heatmap", "draw_instances", "draw_vehicle_pose",
           "imread", "imwrite", "keypoint_colours", "track_colour"]
