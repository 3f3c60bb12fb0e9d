"""Gives the loaders of a run our transforms and the picture cache, when it starts; the config stays upstream's."""
from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

from mmengine.hooks import Hook
from mmengine.registry import HOOKS

SETTINGS = "cv2 {} colour 1"


@HOOKS.register_module()
class PictureCacheHook(Hook):
    """Replaces transforms in built pipelines by ones that give the same samples sooner.

    Args:
        keep: Whether decoded pictures are kept in a folder.
        gigabytes: Most that the folder may take; None decides by what is free.
        form: As what they are kept: ``raw`` or ``jpeg``.
    """

    priority = "VERY_LOW"  # after PipelineSwitchHook, which brings new transforms

    def __init__(self, keep: bool = True, gigabytes: Optional[float] = None, form: str = "raw") -> None:
        """Sets what was asked for."""
        self.keep, self.gigabytes, self.form = keep, gigabytes, form
        self._openers: list[Any] = []
        self._swapped: Any = None
        self._lease: Any = None

    def before_train(self, runner: Any) -> None:
        """Plans what is kept, and prepares the loaders of training and validation."""
        loaders = [runner.train_dataloader, runner.val_dataloader if runner.val_loop is not None else None]
        folder = cache_folder(Path(runner.work_dir))
        groups = self._groups(runner, loaders)
        self._openers = self._plan(runner, folder, groups)
        self._swap(runner.train_dataloader, self._openers[0])
        self._swapped = getattr(runner.train_dataloader.dataset, "pipeline", None)
        if loaders[1] is not None:
            self._swap(loaders[1], self._openers[-1])

    def before_train_epoch(self, runner: Any) -> None:
        """Prepares the milder pipeline of the last epochs when it has come."""
        pipeline = getattr(runner.train_dataloader.dataset, "pipeline", None)  # a wrapper of data sets has none
        if pipeline is not self._swapped:
            self._swap(runner.train_dataloader, self._openers[1])
            self._swapped = pipeline

    def _groups(self, runner: Any, loaders: list[Any]) -> list[tuple[Any, list[Any], float]]:
        """Data set, transforms and share of the epochs of: training, its last epochs, validation."""
        from mmcv.transforms import Compose

        train, epochs = loaders[0].dataset, max(1, runner.max_epochs)
        first = _transforms(train)
        switch = next((hook for hook in runner.hooks if hasattr(hook, "switch_pipeline")), None)
        late = Compose(switch.switch_pipeline).transforms if switch else first
        early = min(1.0, max(0, switch.switch_epoch) / epochs) if switch else 1.0
        made = [(train, first, early), (train, late, 1 - early)]
        if loaders[1] is not None:
            every = max(1, getattr(runner.train_loop, "val_interval", 1))
            made.append((loaders[1].dataset, _transforms(loaders[1].dataset), 1 / every))
        return made

    def _plan(self, runner: Any, folder: Path, groups: list[tuple[Any, list[Any], float]]) -> list[Any]:
        """One opener for each group."""
        import cv2

        from pose_tools.openmmlab.image_cache.picture import Opener
        from pose_tools.openmmlab.image_cache.store import PartStore

        store = PartStore(folder, SETTINGS.format(cv2.__version__), self.form)
        wanted: list[dict[str, tuple[tuple[int, ...], ...]]] = [{} for _ in groups]
        if self.keep:
            asked = _asked(groups, self.form)
            kept, line = self._within_budget(folder, asked, runner.rank == 0)
            for wish in kept:
                for user in ((0, 1) if wish.user == _BOTH else (wish.user, )):
                    wanted[user][wish.path] = wish.whats
            runner.logger.info(line if asked else "no picture cache: the data set does not say what it will need")
        return [Opener(store, each) for each in wanted]

    def _within_budget(self, folder: Path, asked: list[Any], first: bool) -> tuple[list[Any], str]:
        from pose_tools.openmmlab.image_cache.budget import Lease, default_budget, make_room
        from pose_tools.openmmlab.image_cache.plan import chosen

        budget = default_budget(folder) if self.gigabytes is None else int(self.gigabytes * 1e9)
        kept = chosen(asked, budget)
        if first:
            self._lease = Lease(folder)
            keys = [key for wish in kept for key in wish.file_names()]
            others = make_room(folder, keys, sum(wish.size for wish in kept), budget, self._lease.alone)
            kept = chosen(kept, budget - others)
            self._lease.share()
        size, room = sum(wish.size for wish in kept) / 1e9, f"{budget / 1e9:.2g} GB"
        why = "--cache-gb" if self.gigabytes is not None else "half of what memory and disk have free"
        of = f"{len({wish.path for wish in kept})} of {len({wish.path for wish in asked})}"
        return kept, f"picture cache: {of} pictures, {size:.2g} GB of at most {room} ({why}), in {folder}"

    def _swap(self, loader: Any, opener: Any) -> None:
        from mmengine.dataset import pseudo_collate

        from pose_tools.openmmlab.image_cache.collate import collate_in_one_piece
        from pose_tools.openmmlab.image_cache.swap import swap

        pipeline = getattr(loader.dataset, "pipeline", None)
        if hasattr(pipeline, "transforms"):
            pipeline.transforms = swap(pipeline.transforms, opener)
        collate = getattr(loader.collate_fn, "func", loader.collate_fn)
        if collate is pseudo_collate and loader.num_workers:
            loader.collate_fn = collate_in_one_piece


_BOTH = -1  # pipelines of early and late epochs that need the same of a picture


def cache_folder(work_dir: Path) -> Path:
    """Where decoded pictures are kept: ``work_dirs/cache`` for all runs below, else ``cache`` inside the run's folder.

    Args:
        work_dir: Where the run writes.
    """
    return next((parent for parent in work_dir.parents if parent.name == "work_dirs"), work_dir) / "cache"


def _transforms(dataset: Any) -> list[Any]:
    return list(getattr(getattr(dataset, "pipeline", None), "transforms", []))


def _asked(groups: list[tuple[Any, list[Any], float]], form: str) -> list[Any]:
    """What would be kept if there were room for all."""
    from pose_tools.openmmlab.image_cache.plan import pictures_of, wishes
    from pose_tools.openmmlab.image_cache.reach import affine_steps

    made: list[Any] = []
    train = pictures_of(groups[0][0])
    if train is not None:
        early, late = groups[0], groups[1]
        if affine_steps(early[1]) and affine_steps(late[1]):
            made += wishes(_BOTH, train, [early[1], late[1]], 1.0, form)
        else:
            made += [wish for user, (_, transforms, share) in enumerate((early, late)) if share > 0
                     for wish in wishes(user, train, [transforms], share, form)]
    if len(groups) > 2:
        val = pictures_of(groups[2][0])
        made += wishes(2, val, [groups[2][1]], groups[2][2], form) if val is not None else []
    return made
