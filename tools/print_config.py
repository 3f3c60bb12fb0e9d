#!/usr/bin/env python
"""Print a config as it is after inheritance, or what is installed here.

    python tools/print_config.py configs/rtmpose-s-carpose.py
    python tools/print_config.py --env        # versions, operators, device, precision: paste it into a bug report
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import key_value, run


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("config", nargs="?", type=Path, help="a config file")
    what.add_argument("--env", action="store_true", help="print the environment instead")
    parser.add_argument("--input-size", type=int, nargs=2, metavar=("W", "H"), help="with this input size")
    parser.add_argument("--cfg-options", nargs="+", type=key_value, default=[], metavar="KEY=VALUE",
                        help="with these entries changed")
    return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Prints."""
    args = parse_args(argv)
    if args.env:
        from pose_tools.openmmlab.environment import environment_report

        print(environment_report())
        return 0
    from pose_tools.openmmlab.config import load_config
    from pose_tools.openmmlab.input_size import set_input_size

    cfg = load_config(args.config, dict(args.cfg_options))
    if args.input_size:
        set_input_size(cfg, tuple(args.input_size))
    print(cfg.pretty_text)
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
