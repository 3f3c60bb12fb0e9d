"""From what a user says of a model to its weights and its config."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

from pose_tools.console import UserError
from pose_tools.weights.catalog.config_files import installed_config
from pose_tools.weights.entries import Entry
from pose_tools.weights.resolve import entry_of, resolve_weights
from pose_tools.weights.store import is_present

SEED = 0  # of random weights


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from.

    Attributes:
        path: The file of weights, or of a graph; of a model with random weights its config.
        config: What says how the network is built; None where the weights say it.
        seed: Of random weights; None where the weights are the file's.
    """

    path: Path
    config: Optional[Path] = None
    seed: Optional[int] = None

    @property
    def is_random(self) -> bool:
        """Whether what the model finds means nothing."""
        return self.seed is not None

    @property
    def warning(self) -> str:
        """What the user must be told of random weights; ``""`` for others."""
        return f"WARNING: {self.path.stem} has RANDOM WEIGHTS (--random-init): what it finds means nothing" \
            if self.is_random else ""


def find_model(what: Union[str, Path], config: Union[str, Path, None] = None, random_init: bool = False) -> ModelSource:
    """Finds the weights and the config of a model.

    The config is the one given; else, of a model of mmdet's or mmpose's index, the one that these install; else the one
    in the weights.

    Args:
        what: A file, or what else :func:`pose_tools.weights.resolve.resolve_weights` takes: a name such as
            ``td-hm_hrnet-w32_8xb64-210e_coco-256x192``, an address. With ``random_init`` a config, too.
        config: A config file, or the name of an installed one.
        random_init: Take random weights where those of a name are not on this machine; nothing is fetched then.

    Raises:
        UserError: There is no such model or file; or its weights cannot be had, and then the message says what went
            wrong at every source.
    """
    given = _config_file(config) if config is not None else None
    file = Path(what).expanduser()
    if file.is_file():
        if file.suffix == ".py":
            return _random(file, random_init, what)
        if given is not None and file.suffix in (".onnx", ".xml"):
            raise UserError(f"{file}: is a graph that says by itself what it is; a config ({given}) is for weights")
        return ModelSource(file, given)
    own = installed_config(str(what))
    entry = _entry(str(what), own)
    if entry is None and own is None:
        return ModelSource(resolve_weights(what), given)
    found = given or own or (installed_config(entry.config) or installed_config(entry.name) if entry else None)
    if random_init and found is not None and not (entry and is_present(entry.name)):
        return ModelSource(found, found, SEED)
    if entry is None:
        raise UserError(f"{what}: no weights are known for this config; give a file of weights, and this name as its "
                        "config, or try it with --random-init")
    advice = "or give --random-init to try without" if found else ""
    return ModelSource(resolve_weights(entry.name, advice=advice), found)


def _config_file(config: Union[str, Path]) -> Path:
    file = Path(config).expanduser()
    if file.is_file():
        return file
    found = installed_config(str(config))
    if found is None:
        raise UserError(f"{config}: no such config, neither as a file nor in the installed mmdet and mmpose")
    return found


def _random(file: Path, random_init: bool, what: Union[str, Path]) -> ModelSource:
    if not random_init:
        raise UserError(f"{what}: is a config; give its weights and this as their config, or try it with --random-init")
    return ModelSource(file, file, SEED)


def _entry(what: str, own: Optional[Path]) -> Optional[Entry]:
    """The entry of a name; None for an address or a missing file, and for a config whose weights nobody lists."""
    try:
        found = entry_of(what)
    except UserError:
        if own is None:
            raise
        return None
    return found if found is not None and found.catalog else None
