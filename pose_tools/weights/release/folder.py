"""A release folder: a checkpoint with all that belongs to it, made in one step and always of the same bytes."""
from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

from pose_tools.console import Fault, UserError
from pose_tools.console.atomic import write_whole
from pose_tools.console.folder import check_destination, new_folder
from pose_tools.weights.catalog.reading import CATALOG_FILE, read_catalog
from pose_tools.weights.embedded import parse_config_text, replace_in_config_text
from pose_tools.weights.hashes import SUMS, read_sums, sha256_of, write_sums
from pose_tools.weights.release.catalog_entry import catalog_text
from pose_tools.weights.release.facts import facts_of
from pose_tools.weights.release.machine_paths import without_machine_paths
from pose_tools.weights.release.metrics import normal_metrics
from pose_tools.weights.release.model_card import Card, model_card, title_of
from pose_tools.weights.release.publish import Prepared, Published
from pose_tools.weights.release.same_outputs import verify_same_outputs
from pose_tools.weights.release.scores import own_scores
from pose_tools.weights.release.training_facts import data_counts, training_rows

CARD, SAMPLE = "README.md", "sample.jpg"
DrawSample = Callable[[Path, Path], str]


@dataclass(frozen=True)
class Wishes:
    """What a release folder is to hold.

    Attributes:
        licence: Of the weights; empty where the user has not said.
        repository: ``hf:USER/REPO``, or empty.
        safetensors: Whether to write the weights as ``.safetensors`` too.
        draw: Takes the published checkpoint and the picture to write, where there is to be one; says what it shows.
        replace: Whether a folder that is not an unchanged release may be replaced.
    """

    licence: str = ""
    repository: str = ""
    safetensors: bool = False
    draw: Optional[DrawSample] = None
    replace: bool = False


def write_release(prepared: Prepared, folder: Path, wishes: Wishes) -> Published:
    """Makes a release folder.

    Args:
        prepared: The checkpoint.
        folder: Where; an earlier release that nobody has changed is replaced.
        wishes: What else it is to hold.

    Returns:
        The checkpoint in it.

    Raises:
        UserError: The folder holds something else, the checkpoint does not stand the test of
            :meth:`~pose_tools.weights.release.publish.Prepared.write`, or the sample cannot be drawn. What was
            there before is there still.
    """
    check_replaceable(folder, wishes.replace, [prepared.source])
    with new_folder(folder, overwrite=True) as new:
        published = prepared.write(new)
        _fill(new, prepared, published.path, wishes)
        read_catalog(new)  # it must be one
    return dataclasses.replace(published, path=folder / published.path.name)


def check_replaceable(folder: Path, replace: bool, sources: Iterable[Path] = ()) -> None:
    """Makes sure that no work of the user's is lost where a release goes.

    Args:
        folder: The folder to make.
        replace: Whether the user allows it.
        sources: What is read.

    Raises:
        UserError: It is a file, holds a source, or holds files that are not those of an earlier release.
    """
    check_destination(folder, overwrite=True, sources=sources)
    if replace or not folder.is_dir():
        return
    sums = read_sums(folder)
    there = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    foreign = [name for name in there if name != SUMS and name not in sums]
    changed = [name for name in there if name in sums and sha256_of(folder / name) != sums[name]]
    for names, what in ((foreign, "is not of a release"), (changed, "was changed since it was made")):
        if names:
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            raise UserError(f"{folder / names[0]}: {what}{more}; choose another folder, or replace it with --overwrite")


def name_fault(name: str) -> Optional[Fault]:
    """Says why a name is none for a release, or ``None``."""
    if re.fullmatch(r"[A-Za-z0-9_][\w.+-]*", name, re.ASCII) and not name.endswith("."):
        return None
    return Fault(name or "''", "is no name for a release; letters, digits and . _ + - are; give it as OUT")


def _fill(new: Path, prepared: Prepared, checkpoint: Path, wishes: Wishes) -> None:
    """Writes what goes with the checkpoint, from what the checkpoint says."""
    from pose_tools.openmmlab.compat.safe_load import load_checkpoint_file

    loaded = load_checkpoint_file(checkpoint)
    meta, weights, name = loaded["meta"], loaded["state_dict"], prepared.name
    if isinstance(meta.get("metrics"), dict):
        meta = {**meta, **normal_metrics(meta)}
    text, config = _clean_config(meta["cfg"], prepared.source)
    facts = facts_of(meta, config, weights, prepared.source)
    files = {checkpoint.name: "the weights, with config, keypoint set and scores in them"}
    if wishes.safetensors:
        files[_write_safetensors(new, loaded, prepared)] = "the same, in a format that cannot hold code"
    write_whole(new / f"{name}.py", text.encode("utf-8"))
    files[f"{name}.py"] = "the config it was trained with, as plain text"
    sample = ""
    if wishes.draw:
        sample = wishes.draw(checkpoint, new / SAMPLE)
        files[SAMPLE] = "the picture above"
    rows = training_rows(meta, config, facts, data_counts(meta, prepared.config, facts))
    card = Card(name, facts, meta, config, rows, {**files, CATALOG_FILE: "sizes and hashes, for download_weights.py"},
                wishes.licence, wishes.repository, sample)
    write_whole(new / CARD, model_card(card).encode("utf-8"))
    forms = [each for each in files if each.endswith((".pth", ".safetensors"))]
    # Not the card, which people correct on the hub: the weights must still be had then.
    catalog = catalog_text(name, title_of(name, facts), facts, new, forms, [f"{name}.py"], wishes.licence,
                           own_scores(meta), wishes.repository)
    write_whole(new / CATALOG_FILE, catalog.encode("utf-8"))
    write_sums(new, {each: sha256_of(new / each) for each in sorted(os.listdir(new))})


def _clean_config(text: str, source: Path) -> tuple[str, dict[str, Any]]:
    """Gives a published config's text and values; those of older files may still name paths of a machine."""
    values = parse_config_text(text, source)
    clean = without_machine_paths(values)
    text = replace_in_config_text(text, {key: clean[key] for key in clean if clean[key] != values[key]}, source)
    return text.rstrip("\n") + "\n", clean


def _write_safetensors(new: Path, loaded: dict[str, Any], prepared: Prepared) -> str:
    from pose_tools.weights.release.safetensors_file import to_safetensors

    data = to_safetensors(loaded)
    path = new / f"{prepared.name}-{hashlib.sha256(data).hexdigest()[:8]}.safetensors"
    write_whole(path, data)
    verify_same_outputs(prepared.source, prepared.config, path, prepared.trusted, prepared.rounding is not None)
    return path.name
