"""Small models to export: real configs and classes, few channels, seeded weights with lively outputs."""
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "weights"))
from release_models import dataset_meta, small_config


def lively(model, kind):
    """Spreads the outputs of seeded weights: boxes of several sizes, scores from 0 to 1, clear maxima."""
    torch.manual_seed(1)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 1.5)
        if kind == "pose":
            for part in (model.head.cls_x, model.head.cls_y):
                part.weight.normal_(0, 1)
            model.head.final_layer.weight.normal_(0, 0.2)
        else:
            for part in model.bbox_head.rtm_cls:
                part.weight.normal_(0, 1)
                part.bias.normal_(-3, 1)
            for part in model.bbox_head.rtm_reg:
                part.weight.normal_(0, 0.1)
                part.bias.uniform_(0.5, 1.5)
    return model


def save_small(folder, kind, change=lambda cfg: None):
    """Writes a checkpoint as a run leaves it; ``change`` edits the config first."""
    from mmengine.registry import MODELS, DefaultScope

    cfg = small_config(kind)
    change(cfg)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = lively(MODELS.build(cfg.model), kind)
    path = Path(folder) / f"{'rtmpose' if kind == 'pose' else 'rtmdet'}-small" / "epoch_1.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"meta": {"cfg": cfg.pretty_text, "epoch": 1, "dataset_meta": dataset_meta(cfg, kind)},
                "state_dict": model.state_dict()}, path)
    return path


def pixels_of(checkpoint):
    from pose_tools.inference.runtime.torch_facts import facts_of_checkpoint
    from pose_tools.openmmlab.graphs.models import Pixels

    facts = facts_of_checkpoint(checkpoint)
    return Pixels(facts.input_size, facts.mean, facts.std, facts.to_rgb)


def build(checkpoint, end_to_end=False, batch=None):
    from pose_tools.openmmlab.graphs.trace import build_graph

    return build_graph(checkpoint, pixels_of(checkpoint), end_to_end, batch)


def images(count, seed=0):
    """Pictures (count, 64, 64, 3) uint8 of soft noise."""
    import cv2

    noise = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3)).astype(np.uint8)
    return np.stack([cv2.resize(each, (64, 64)) for each in noise])


def normalised(pictures, pixels):
    """What the network takes of pictures (N, H, W, 3) BGR."""
    ordered = pictures[..., ::-1] if pixels.to_rgb else pictures
    values = (ordered.astype(np.float32) - np.float32(pixels.mean)) / np.float32(pixels.std)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def session(model):
    """ONNX Runtime on one thread, of a ModelProto or a file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    source = str(model) if isinstance(model, (str, Path)) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def run(model, batch):
    return session(model).run(None, {"input": batch})
