"""The doctor: finds what breaks or silently ruins a training in a COCO keypoint data set, and what looks suspicious.

Examples:
    python pose_tools/check_coco.py data/carpose
    python pose_tools/check_coco.py annotations/train.json annotations/val.json --images pictures --fix
    python pose_tools/check_coco.py data/carpose --strict --json > findings.json
    python pose_tools/check_coco.py --rules

Errors give exit code 1, and so do warnings with --strict. When configs/_base_/NAME/meta.py is there for data/NAME, or
--meta names one, the files are held against it. --fix mends what has one right answer into X.fixed.json beside X.json,
with a log of all changes, and then says what is left.
"""
from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pose_tools.console import UserError, run


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("sources", metavar="SRC", type=Path, nargs="*", help="folder with train_coco.json and images/, or COCO files")
    add("--meta", type=Path, help="meta.py to hold the files against")
    add("--images", type=Path, metavar="DIR", help="where the images are (images/ beside the COCO file)")
    add("--no-images", action="store_true", help="look at the labels only")
    add("--verify-images", action="store_true", help="decode every image: finds damage inside of files")
    add("--similar", action="store_true", help="look for nearly the same picture in two splits (up to 5000 images that "
        "is always done)")
    add("--input-size", type=int, nargs=2, metavar=("W", "H"), default=(256, 256), help="of the keypoint model")
    add("--ignore", nargs="+", default=[], metavar="RULE", help="rules to leave out")
    add("--strict", action="store_true", help="warnings give exit code 1 as well")
    add("--limit", type=int, default=5, help="findings of a rule to print (5); 0 for all")
    add("--json", action="store_true", help="print everything as JSON instead")
    add("--fix", action="store_true", help="mend what has one right answer, into new files")
    add("--fix-to", type=Path, metavar="DIR", help="folder for the new files (beside the old ones)")
    add("--overwrite", action="store_true", help="replace new files of an earlier --fix")
    add("--rules", action="store_true", help="list everything that is looked for, and stop")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Examines and tells what was found."""
    from pose_tools.dataset.data_set import find_meta, read_data_set
    from pose_tools.dataset.doctor import checkup
    from pose_tools.dataset.doctor.examine import Examination, examine
    from pose_tools.dataset.doctor.rules import check_rule_names

    args = parse_args(argv)
    if args.rules:
        print(checkup.rules_text())
        return 0
    if not args.sources:
        raise UserError("name a data set's folder or its COCO files; --help shows examples")
    check_rule_names(args.ignore)
    data_set = read_data_set(args.sources, args.images)
    meta, path = find_meta(data_set, args.meta)
    how = Examination(tuple(args.input_size), not args.no_images, args.verify_images,
                      args.similar, frozenset(args.ignore))
    result = checkup.mend(data_set, meta, how, args.fix_to, args.overwrite) if args.fix or args.fix_to else \
        checkup.Checkup(examine(data_set, meta, how))
    if args.json:
        print(json.dumps(checkup.checkup_json(result, data_set), ensure_ascii=False, indent=1))
    else:
        against = [f"held against {path}"] if path else []
        text = checkup.findings_text(result.findings, args.limit)
        print("\n".join([*against, *([text, ""] if text else []), checkup.summary_text(result, data_set)]))
    return int(result.count("error") > 0 or (args.strict and bool(result.findings)))


if __name__ == "__main__":
    sys.exit(run(main))
