"""The model card: facts of the checkpoint, for the hub and for people, whatever the names in it are."""
import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pose_tools.console import UserError
from pose_tools.weights.release import training_facts
from pose_tools.weights.release.facts import DETECTION, POSE, Facts, Keypoint, facts_of
from pose_tools.weights.release.licences import licence_header
from pose_tools.weights.release.markdown import code, one_line, table, text
from pose_tools.weights.release.model_card import Card, model_card, title_of
from pose_tools.weights.release.scores import own_scores, scores_section
from pose_tools.weights.release.training_facts import data_counts, training_rows

ODD = "left|front `tire` : *big* <script>alert(1)</script> 車_1_ $x$ [a](b) & \u202eevil\nnext"
POINTS = (Keypoint("hub", "", 0.025, "#64DC50"), Keypoint("left", "right", 0.1, "#FF9933"),
          Keypoint("right", "left", 0.1, "#3399FF"))
FACTS = Facts(POSE, "wheels", ("wheel", ), POINTS, (("hub", "left"), ),
              {"model": "TopdownPoseEstimator", "head": "RTMCCHead"}, 1234567)
FOUND = {"metrics": {"coco/AP": 0.65268, "coco/AP (M)": -1.0, "note": "x"}, "metrics_of": "these weights",
         "metrics_on": "data/wheels/val_coco.json", "metrics_boxes": "ground truth"}


def card_of(facts=FACTS, meta=FOUND, **changes):
    return model_card(Card(**{
        "name": "wheels-s", "facts": facts, "meta": meta, "config": {"model": {"test_cfg": {"flip_test": True}}},
        "training": [("seed", "21")], "files": {"wheels-s-0a1b2c3d_20250314.pth": "the weights"}, **changes}))


def header_of(card):
    return yaml.safe_load(re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)[1])


def section(card, title):
    return re.search(rf"^## {title}\n\n(.*?)(?=^## |\Z)", card, re.DOTALL | re.MULTILINE)[1]


def rendered(markdown):
    """Plain text of each line's and cell's contents, as a reader sees it."""
    parser = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table")
    found = []
    for token in parser.parse(markdown):
        if token.type == "inline":
            assert {child.type for child in token.children} <= {"text", "text_special", "code_inline", "softbreak"}, \
                "markup that nobody wrote"
            found.append("".join(child.content for child in token.children))
    return found


def test_the_hub_can_read_its_header():
    from huggingface_hub import ModelCard

    card = ModelCard(card_of(licence="Apache-2.0"))
    assert card.data.license == "apache-2.0" and card.data.library_name == "mmpose"
    assert card.data.pipeline_tag == "keypoint-detection"
    assert card.data.tags == ["mmpose", "keypoint-detection", "topdownposeestimator", "rtmcchead", "wheels"]
    [result] = card.data.eval_results
    assert (result.task_type, result.dataset_type, result.metric_type, result.metric_value) == (
        "keypoint-detection", "wheels", "coco/AP", 0.6527), "what is nothing or no number is not indexed"
    assert result.dataset_name == "wheels data/wheels/val_coco.json"


def test_scores_of_other_weights_are_not_indexed():
    assert "model-index" not in header_of(card_of(meta={**FOUND, "metrics_of": "the last validation before"}))
    assert "model-index" not in header_of(card_of(meta={}))
    assert own_scores({"metrics": {"a": float("nan"), "b": True, "c": 1}, "metrics_of": "these weights"}) == {"c": 1.0}


@pytest.mark.parametrize("licence, expected", [
    ("Apache-2.0", {"license": "apache-2.0"}), ("mit", {"license": "mit"}), ("GPL-3.0-only", {"license": "gpl-3.0"}),
    ("CC-BY-NC-4.0", {"license": "cc-by-nc-4.0"}), ("", {}),
    ("Ask: me | first", {"license": "other", "license_name": "ask-me-first"}),
    ("詢問", {"license": "other", "license_name": "詢問"}), ("???", {"license": "other", "license_name": "other"})])
def test_licences_have_the_names_of_the_hub(licence, expected):
    assert licence_header(licence) == expected
    assert section(card_of(licence=licence), "Licence").strip() == (
        text(licence) if licence else "None is stated; ask the authors before you use these files or pass them on.")


def test_the_keypoint_table():
    assert section(card_of(), "Keypoints") == """\
| index | keypoint | swaps with | OKS sigma | colour |
| --- | --- | --- | --- | --- |
| 0 | hub |  | 0.025 | #64DC50 |
| 1 | left | right | 0.1 | #FF9933 |
| 2 | right | left | 0.1 | #3399FF |

Points that swap change places in a mirrored picture. Sigmas are shares of an object's scale, the root of its area.

Skeleton: hub – left.

"""


def test_odd_names_stay_names():
    facts = Facts(POSE, ODD, (ODD, ), (Keypoint(ODD, ODD, None, ""), ), ((ODD, ODD), ), {"model": ODD}, 1)
    meta = {"metrics": {ODD: 0.5}, "metrics_of": ODD, "metrics_on": ODD,
            "keypoint_metrics": [{"name": ODD, "found": 1}]}
    card = card_of(facts, meta, training=[("data set", ODD)], licence="M|T", sample=ODD)
    header, shown = header_of(card), one_line(ODD)
    assert header["tags"][-1].startswith("left-front")
    # The picture is the one piece of markup.
    body = re.sub(r"^!\[.*\)$", "", card.split("---\n", 2)[2], flags=re.MULTILINE)
    body = re.sub(r"^\*(.*)\*$", r"\1", body, flags=re.MULTILINE)
    lines = rendered(body)
    assert lines.count(shown) >= 7, lines
    assert not any("\u202e" in line for line in lines)
    table_rows = [line for line in body.splitlines() if line.startswith("| ")]
    for first, row in zip(table_rows, table_rows[1:]):
        if row.startswith("| ---"):
            assert len(re.findall(r"(?<!\\)\|", first)) == len(re.findall(r"(?<!\\)\|", row))


@given(st.text(max_size=40) | st.text("\\`*_[]()<>|~$&#! -+.:/wab1", max_size=30))
def test_escaped_text_is_shown_as_it_is(value):
    shown = one_line(value)
    if "\ufffd" in shown:  # CommonMark's own stand-in
        return
    assert rendered(f"x{text(value)}y") == [f"x{shown}y"]
    assert rendered(table(["a"], [[text(value)]]))[1:] == [shown]


@given(st.text("ab`|\\ ", max_size=12))
def test_code_in_a_table_is_shown_as_it_is(value):
    assert rendered(table(["a"], [[code(value)]]))[1:] == [one_line(value)]


@pytest.mark.parametrize("value", ["- a", "1. a", "12) b", "= c", "+ d", "# e", "> f"])
def test_text_at_the_start_of_a_line_begins_nothing(value):
    assert rendered(text(value)) == [value]


@pytest.mark.parametrize("value", ["see www.x.org now", "http://x.org", "HTTPS://x"])
def test_addresses_in_names_do_not_become_links(value):
    parser = pytest.importorskip("markdown_it").MarkdownIt("gfm-like") if has_linkify() else None
    if parser:
        assert "<a" not in parser.render(text(value))
    assert "://" not in text(value) and "www." not in text(value)


def has_linkify():
    from importlib.util import find_spec

    return find_spec("linkify_it") is not None


def test_scores_say_what_they_are():
    said = scores_section(FOUND, {"model": {"test_cfg": {"flip_test": True}}}, FACTS)
    assert said.startswith("Scores of these weights, on `data/wheels/val_coco.json`.")
    assert "| `coco/AP` | 0.653 |" in said and "| `coco/AP (M)` | nothing to count |" in said
    assert ".50 to .95 in steps of .05" in said and "those of the annotations" in said and "flip test" in said
    assert "Without flip test." in scores_section(FOUND, {}, FACTS)
    assert "found by a detector" in scores_section({**FOUND, "metrics_boxes": "a detector's"}, {}, FACTS)
    assert "Whose boxes were used is not recorded." in scores_section({**FOUND, "metrics_boxes": "?"}, {}, FACTS)


@pytest.mark.parametrize("meta, expected", [
    ({}, "Not recorded."), ({"metrics": {}}, "Not recorded."),
    ({"metrics": {"PCK": 0.5}}, "Of which weights is not recorded, on which data is not recorded."),
    ({"metrics": {"PCK": 0.5}}, "By which rules they were counted is not recorded."),
    ({"metrics": {"coco/bbox_mAP": 0.5}, "metrics_of": "x.pth"}, "Scores of x.pth"),
    ({"metrics": {"coco/bbox_mAP": 12.3456}}, "| `coco/bbox_mAP` | 12.35 |")])
def test_what_is_not_known_of_scores_is_not_made_up(meta, expected):
    assert expected in scores_section(meta, {}, FACTS)


def test_a_detectors_scores_are_of_boxes():
    facts = Facts(DETECTION, "", ("car", ), (), (), {"model": "RTMDet"}, 1)
    said = scores_section({"metrics": {"coco/bbox_mAP": 0.5}}, {}, facts)
    assert "thresholds of IoU" in said and "sigmas" not in said


CONFIG = {
    "train_dataloader": {"batch_size": 16, "dataset": {"ann_file": "train_coco.json", "data_root": "data/wheels/"}},
    "val_dataloader": {"dataset": {"ann_file": "ann/val_coco.json", "data_root": "data/wheels/"}},
    "codec": {"input_size": (192, 256)}, "train_cfg": {"max_epochs": 8},
    "optim_wrapper": {"optimizer": {"type": "AdamW", "lr": 0.000329876, "weight_decay": 0.0}},
    "param_scheduler": [{"type": "LinearLR", "by_epoch": False, "begin": 0, "end": 91},
                        {"type": "CosineAnnealingLR", "begin": 4, "end": 8, "eta_min": 1.6493848884661182e-05}],
    "custom_hooks": [{"type": "EMAHook", "ema_type": "ExpMomentumEMA", "momentum": 0.0002},
                     {"type": "PretrainedHook", "checkpoint": "checkpoint/start-12345678.pth"}],
    "randomness": {"seed": 5}}
META = {"epoch": 7, "iter": 21, "seed": 3, "time": "20250314_231500", "mmengine_version": "0.10.7" + "ab" * 20,
        "versions": {"torch": "2.13.0", "mmpose": "1.3.2"}}


def test_the_training_row_by_row():
    assert dict(training_rows(META, CONFIG, FACTS, {"train": "40 images, 45 objects with keypoints"})) == {
        "data set": "wheels", "trained on": "train_coco.json: 40 images, 45 objects with keypoints",
        "validated on": "val_coco.json", "input size": "192 x 256 px (width x height)",
        "length": "epoch 7 of 8, 21 steps", "batch size": "16",
        "optimiser": "AdamW, learning rate 0.0003299, weight decay 0",
        "learning-rate schedule": "LinearLR from step 0 to step 91; CosineAnnealingLR from epoch 4 to epoch 8, down to "
                                  "1.649e-05",
        "averaged weights": "yes: ExpMomentumEMA, momentum 0.0002", "precision": "not recorded", "seed": "3",
        "started from": "start-12345678.pth", "saved on": "2025-03-14", "trained with": "mmengine 0.10.7",
        "published with": "torch 2.13.0, mmpose 1.3.2"}


def test_a_training_that_says_nothing():
    rows = dict(training_rows({}, {}, Facts(POSE, "", (), (), (), {}, 0), {}))
    assert rows.pop("averaged weights") == "no"
    assert set(rows.values()) == {"not recorded"}


@pytest.mark.parametrize("config, what, expected", [
    ({"from_scratch": True, **CONFIG}, "started from", "nothing (from scratch)"),
    ({"model": {"init_cfg": {"type": "Pretrained", "checkpoint": "https://host/a/x.pth?k=1"}}}, "started from",
     "https://host/a/x.pth"),
    ({"model": {"backbone": {"init_cfg": {"type": "Pretrained", "checkpoint": "a/x.pth"}}}}, "started from",
     "x.pth (backbone)"),
    ({"precision": "bf16"}, "precision", "bf16"),
    ({"optim_wrapper": {"type": "ScaledOptimWrapper"}}, "precision", "fp16"),
    ({"optim_wrapper": {"type": "AmpOptimWrapper", "dtype": "bfloat16"}}, "precision", "mixed, bfloat16"),
    ({"optim_wrapper": {"type": "OptimWrapper"}}, "precision", "not recorded"),
    ({"model": {"head": {"input_size": [96, 128]}}, "codec": {"input_size": [1, 2]}}, "input size",
     "96 x 128 px (width x height)")])
def test_where_rows_come_from(config, what, expected):
    assert dict(training_rows({}, config, FACTS, {}))[what] == expected


def write_coco(path, images, objects, labelled):
    annotations = [{"id": i + 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "area": 81, "iscrowd": 0,
                    "keypoints": [1, 1, 2 if i < labelled else 0], "num_keypoints": int(i < labelled)}
                   for i in range(objects)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({
        "images": [{"id": i + 1, "file_name": f"{i}.jpg", "width": 9, "height": 9} for i in range(images)],
        "annotations": annotations, "categories": [{"id": 1, "name": "wheel", "keypoints": ["hub"], "skeleton": []}]}))


def test_data_is_counted_where_it_is_what_the_run_used(tmp_path, monkeypatch):
    monkeypatch.setattr(training_facts, "ROOT", tmp_path)
    assert data_counts(META, CONFIG, FACTS) == {}, "not on this machine"
    write_coco(tmp_path / "data/wheels/train_coco.json", 40, 50, 45)  # 45 / 16 is 3 steps an epoch, 7 * 3 = 21
    assert data_counts(META, CONFIG, FACTS) == {"train": "40 images, 45 objects with keypoints"}
    write_coco(tmp_path / "data/wheels/ann/val_coco.json", 4, 6, 5)
    assert data_counts(META, CONFIG, FACTS)["val"] == "4 images, 5 objects with keypoints"
    detector = Facts(DETECTION, "", (), (), (), {}, 0)
    assert data_counts(META, CONFIG, detector)["train"] == "40 images, 50 objects"  # 40 / 16 is 3 as well
    write_coco(tmp_path / "data/wheels/train_coco.json", 40, 50, 49)  # 4 steps: made anew since
    assert data_counts(META, CONFIG, FACTS) == {}
    assert data_counts({**META, "iter": None}, CONFIG, FACTS) == {}
    (tmp_path / "data/wheels/train_coco.json").write_text("[")
    assert data_counts(META, CONFIG, FACTS) == {}


def test_steps_of_whole_batches_only(tmp_path, monkeypatch):
    monkeypatch.setattr(training_facts, "ROOT", tmp_path)
    write_coco(tmp_path / "data/wheels/train_coco.json", 40, 50, 49)
    config = {**CONFIG, "train_dataloader": {**CONFIG["train_dataloader"], "drop_last": True}}
    assert data_counts(META, config, FACTS)["train"] == "40 images, 49 objects with keypoints"


class Tensor:
    def __init__(self, place, *shape):
        self.place, self.shape = place, shape

    def data_ptr(self):
        return self.place

    def numel(self):
        return int(np.prod(self.shape))


TOLD = {"dataset_name": "wheels", "keypoint_id2name": {0: "hub", 1: "left", 2: "right"}, "flip_indices": [0, 2, 1],
        "sigmas": [0.025, 0.10000000149011612, 0.1], "skeleton_links": [(0, 1)],
        "keypoint_colors": [[100, 220, 80], [255, 153, 51], [51, 153, 255]], "CLASSES": [{"id": 1, "name": "wheel"}]}
MODEL = {"type": "TopdownPoseEstimator", "head": {"type": "RTMCCHead"}}


def test_facts_of_a_keypoint_model():
    weights = {"a": Tensor(1, 2, 3), "same": Tensor(1, 2, 3), "b": Tensor(2, 4), "none": Tensor(3, 0)}
    facts = facts_of({"dataset_meta": TOLD}, {"default_scope": "mmpose", "model": MODEL}, weights, Path("x.pth"))
    assert facts.keypoints[1] == Keypoint("left", "right", 0.10000000149011612, "#FF9933")
    assert facts == Facts(POSE, "wheels", ("wheel", ), facts.keypoints, (("hub", "left"), ), {
        "model": "TopdownPoseEstimator", "head": "RTMCCHead"}, 10)
    assert title_of("w", facts) == "w: 3 keypoints of wheel"


def test_facts_from_the_config_where_the_data_set_says_nothing():
    config = {"default_scope": "mmpose", "model": MODEL, "classes": ("wheel", ), "keypoints": ("hub", "left", "right"),
              "swaps": (("left", "right"), ), "links": (("hub", "left"), ), "sigmas": (0.025, 0.1, 0.1)}
    facts = facts_of({}, config, {}, Path("x.pth"))
    assert facts.keypoints[2] == Keypoint("right", "left", 0.1, "") and facts.links == (("hub", "left"), )


@pytest.mark.parametrize("told, scope, words", [
    ({}, None, "neither a detector nor"), ({}, "mmengine", "neither a detector nor"),
    ({**TOLD, "sigmas": [0.1]}, "mmpose", "contradicts itself"),
    ({**TOLD, "flip_indices": [0, 9, 1]}, "mmpose", "contradicts itself"),
    ({**TOLD, "keypoint_id2name": {0: "hub", 2: "right"}}, "mmpose", "contradicts itself"),
    ({**TOLD, "keypoint_colors": [["red"] * 3] * 3}, "mmpose", "contradicts itself"),
    ({"CLASSES": [{"id": 1}]}, "mmdet", "contradicts itself"), ({"classes": 5}, "mmdet", "contradicts itself")])
def test_a_checkpoint_that_contradicts_itself(told, scope, words):
    with pytest.raises(UserError, match=words) as caught:
        facts_of({"dataset_meta": told}, {"default_scope": scope, "model": MODEL}, {}, Path("x.pth"))
    assert "\n" not in str(caught.value) and str(caught.value).startswith("x.pth: ")
