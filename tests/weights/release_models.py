"""Small models of both kinds, as a run leaves them: real configs and classes, few channels, seeded weights."""
from __future__ import annotations

from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
TIME = "20250314_231500"
SCORES = {"pose": {"coco/AP": 0.625, "coco/AP .5": 0.75, "coco/AP (M)": -1.0}, "detector": {"coco/bbox_mAP": 0.5}}
KEYS = {"pose": "coco/AP", "detector": "coco/bbox_mAP"}


def small_config(kind):
    """Our config with a network of a twentieth of the size."""
    from pose_tools.openmmlab.config import load_config
    from pose_tools.openmmlab.input_size import set_input_size

    cfg = load_config(ROOT / "configs" / f"{'rtmpose-s' if kind == 'pose' else 'rtmdet-tiny'}-carpose.py")
    set_input_size(cfg, (64, 64))
    cfg.model.pop("init_cfg", None)
    cfg.model.backbone.update(deepen_factor=0.167, widen_factor=0.125)
    if kind == "pose":
        cfg.model.head.in_channels = 128
        cfg.model.head.gau_cfg.update(hidden_dims=32, s=16)
    else:
        cfg.model.neck.update(in_channels=[32, 64, 128], out_channels=32)
        cfg.model.bbox_head.update(in_channels=32, feat_channels=32)
    cfg.work_dir = "work_dirs/small"
    cfg.from_scratch, cfg.schedule_derived = True, True
    cfg.train_cfg.max_epochs = cfg.max_epochs = 2
    cfg.train_dataloader.batch_size = 8
    return cfg


def dataset_meta(cfg, kind):
    from mmpose.datasets.datasets.utils import parse_pose_metainfo

    return parse_pose_metainfo(cfg.dataset_info) if kind == "pose" else {"classes": tuple(cfg.classes)}


def save_run(folder, kind, cfg=None, **meta):
    """Writes ``folder/NAME/best_KEY_epoch_2.pth`` as mmengine does, with the scores of its validation.

    Args:
        folder: Where runs are.
        kind: ``pose`` or ``detector``.
        cfg: Instead of :func:`small_config`.
        meta: Instead of what else would stand in its meta; None leaves it out.
    """
    from mmengine.logging import HistoryBuffer
    from mmengine.registry import MODELS, DefaultScope

    cfg = cfg or small_config(kind)
    name = f"{'rtmpose-s' if kind == 'pose' else 'rtmdet-tiny'}-carpose"
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(cfg.model)
    path = Path(folder) / name / f"best_{KEYS[kind].replace('/', '_')}_epoch_2.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    logs = {f"val/{key}": HistoryBuffer([0.1, value], [1, 1]) for key, value in SCORES[kind].items()}
    content = {"cfg": cfg.pretty_text, "experiment_name": f"{name}_{TIME}", "epoch": 2, "iter": 6, "seed": 3,
               "time": TIME, "mmengine_version": "0.10.7" + "a" * 40, "dataset_meta": dataset_meta(cfg, kind), **meta}
    torch.save({"meta": {key: value for key, value in content.items() if value is not None},
                "state_dict": model.state_dict(), "optimizer": {"state": torch.zeros(10)},
                "message_hub": {"log_scalars": logs, "runtime_info": {f"best_ckpt_{KEYS[kind]}": str(path)}}}, path)
    return path
