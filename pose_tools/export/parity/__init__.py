"""The gate that an exported file passes before it gets its name: it does what its checkpoint does.

Both run on the same pictures and boxes through the same runtime, each with the facts that it carries itself, so what
is compared is what a user of the file would get: preprocessing as its metadata say it, network, decoding, NMS.
"""
from pose_tools.export.parity.gate import check
from pose_tools.export.parity.pictures import Pictures
from pose_tools.export.parity.report import Report
from pose_tools.export.parity.tolerance import Tolerance

__all__ = ["Pictures", "Report", "Tolerance", "check"]
