#!/usr/bin/env python
"""Measure models: time, throughput, memory, operations; checkpoints, ONNX and OpenVINO files beside each other.

    python tools/benchmark.py checkpoint/rtmpose-s-carpose-5e6f7a8b_20261121.pth
    python tools/benchmark.py work_dirs/export/rtmpose-s-carpose.onnx --threads 1 --json work_dirs/benchmark.json
    python tools/benchmark.py det.onnx pose.onnx --images photos/ --batch 1 4      # and from picture to keypoints

Every model runs in a process of its own, in turn with the others, round by round. Network: one run on a batch that is
there, latency of the runs and throughput. Stages: from a picture file to results in image px, as predict.py does it. A
detector and a keypoint model of one backend are measured one after the other as well. MACs: multiply-accumulates of
convolutions and matrix products for one input; papers call them FLOPs. Memory is resident, in MB of 10^6 bytes.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import run
from pose_tools.options.benchmarking import BenchmarkOptions, benchmarking_parser


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    return benchmarking_parser(__doc__).parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Measures, prints tables and writes JSON."""
    args = vars(parse_args(argv))
    options = BenchmarkOptions(**{key: tuple(value) if isinstance(value, list) else value
                                  for key, value in args.items()})
    from pose_tools.benchmarking.measuring import measure
    from pose_tools.benchmarking.tables import as_markdown, as_text, write_json

    result = measure(options)
    print(as_markdown(result) if options.markdown else as_text(result))
    if options.json:
        write_json(options.json, result)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
