"""TorchScript: one file that ``torch.jit.load`` reads where torch is and OpenMMLab is not."""
from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pose_tools.console import UserError

if TYPE_CHECKING:
    from pose_tools.openmmlab.graphs.trace import BuiltGraph

METADATA_FILE = "model_facts.json"


def write_torchscript(built: BuiltGraph, path: Path, metadata: Mapping[str, str]) -> None:
    """Writes a traced network with its metadata.

    Args:
        built: The network.
        path: Where to write.
        metadata: ``ModelFacts.to_metadata()``; ``torch.jit.load(path, _extra_files={"model_facts.json": ""})``
            gives them back, as JSON.
    """
    from pose_tools.openmmlab.graphs.trace import graph_to_torchscript

    facts = json.dumps(dict(metadata), ensure_ascii=False, indent=1)
    path.write_bytes(without_debug_records(graph_to_torchscript(built, {METADATA_FILE: facts})))


def check_torchscript(built: BuiltGraph, path: Path) -> None:
    """Runs a file on batches of several sizes beside the network it was traced from.

    Of the values of an output one in a hundred may be off by more than a thousandth of the largest: where two bins or
    two boxes are as good as each other, rounding decides.

    Args:
        built: The network.
        path: The file.

    Raises:
        UserError: They differ.
    """
    import torch

    from pose_tools.openmmlab.graphs.trace import final_module

    loaded, network = torch.jit.load(str(path)), final_module(built)
    for count in (1, 2, 3) if built.batch is None else (built.batch, ):
        batch = torch.cat([built.sample] * count)[:count]
        with torch.no_grad():
            pairs = zip(network.output_names, network(batch), loaded(batch))
        for name, expected, found in pairs:
            off = (expected.double() - found.double()).abs() > 1e-3 * expected.double().abs().max()
            if expected.shape != found.shape or off.double().mean() > 0.01:
                raise UserError(f"{path.name}: its {name} of {count} images differ from those of the checkpoint; "
                                "nothing was written")


def without_debug_records(archive: bytes) -> bytes:
    """Takes out of a TorchScript archive where in which source file each line was traced: paths of this machine.

    Args:
        archive: As ``torch.jit.save`` writes it.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for entry in old.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                # Torch's dates are those of 1980 already; what it keeps uncompressed stays so.
                new.writestr(zipfile.ZipInfo(entry.filename, entry.date_time), old.read(entry))
    return target.getvalue()
