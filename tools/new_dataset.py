"""Makes the configs for your own keypoints: eight configs and a meta.py with the facts.

Examples:
    python tools/new_dataset.py wheels --labelme photos
    python tools/new_dataset.py horse --coco data/horse/train_coco.json

The names are taken from the data; what cannot be known is guessed, said, and to be corrected in
configs/_base_/NAME/meta.py, the only file to edit.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import run
from pose_tools.dataset.scaffold import (
    CONFIGS,
    check_name,
    default_data_root,
    facts_from_coco,
    facts_from_labelme,
    missing_data,
    new_dataset,
)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("name", metavar="NAME", help="lower-case letters, digits, - and _")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--coco", type=Path, metavar="FILE", help="take the facts from a COCO keypoint file")
    source.add_argument("--labelme", type=Path, metavar="DIR", help="take the names from a labelme folder")
    parser.add_argument("--data-root", metavar="DIR", help="where the data is or will be (the folder of --coco's file "
                        "when it is called train_coco.json, else data/NAME)")
    parser.add_argument("--configs", type=Path, default=CONFIGS, metavar="DIR", help="where to write")
    parser.add_argument("--force", action="store_true", help="replace configs that exist")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Writes the configs and tells what was assumed."""
    args = parse_args(argv)
    check_name(args.name)
    facts = facts_from_coco(args.coco) if args.coco else facts_from_labelme(args.labelme)
    data_root = args.data_root or default_data_root(args.name, args.coco)
    written = new_dataset(args.name, facts, data_root, args.configs, args.force)
    meta = args.configs / "_base_" / args.name / "meta.py"
    print(f"classes: {', '.join(facts.names.classes)}\nkeypoints: {', '.join(facts.names.keypoints)}")
    print("\n".join(facts.notes))
    print(f"wrote {len(written)} files; correct what is not right in {meta}")
    if args.labelme:
        print(f"next: python pose_tools/labelme2coco.py {args.labelme} {data_root} --meta {meta}")
    elif missing := missing_data(data_root):
        print(f"next: put {', '.join(missing)} into {data_root}")
    else:
        folder = "configs" if args.configs == CONFIGS else args.configs
        print(f"next: python tools/train.py {folder}/rtmdet-tiny-{args.name}.py\n"
              f"      python tools/train.py {folder}/rtmpose-s-{args.name}.py")
    return 0


if __name__ == "__main__":
    sys.exit(run(main))
