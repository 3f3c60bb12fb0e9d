import pytest

from pose_tools.benchmarking.inputs import make_picture, some_boxes
from pose_tools.benchmarking.tables import markdown_table, short, tables_of


@pytest.mark.parametrize(("value", "shown"), [
    (0.012345, 0.0123), (1.2345, 1.23), (12.345, 12.3), (99.96, 100), (123.45, 123), (12345.6, 12346), (7, 7),
    (None, "-"), ("fp32", "fp32"), (0.0, 0.0),
])
def test_figures_have_three_digits(value, shown):
    assert short(value) == shown


def test_markdown_puts_numbers_to_the_right():
    made = markdown_table([["a|b", 1.2345, None], ["c", 20, 3]], ("model", "ms", "MB"))
    assert made.splitlines() == ["| model | ms | MB |", "|---|---:|---:|", "| a&#124;b | 1.23 | - |", "| c | 20 | 3 |"]


STAGES = {"decode_ms": 10.0, "total_ms": 17.0, "p90_ms": 20.0, "pictures_per_s": 58.0, "spread": 0.0}
POSE = {"pose_preprocess_ms": 1.0, "pose_network_ms": 4.0, "pose_postprocess_ms": 0.5}
DETECTOR = {"detector_preprocess_ms": 0.25, "detector_network_ms": 1.0, "detector_postprocess_ms": 0.25}


def test_a_row_says_what_was_measured():
    model = {"file": "pose.onnx", "task": "pose", "backend": "openvino", "precision": "bf16", "weights": "fp16",
             "input_size": [192, 256], "file_mb": 11.0, "complexity": None, "libraries_s": 1.0, "load_s": 0.5,
             "first_call_ms": 30.0, "libraries_mb": 90.0, "model_mb": 40.0, "peak_mb": 140.0,
             "network": [{"batch": 4, "p50_ms": 8.0, "p90_ms": 9.0, "p99_ms": 10.0, "items_per_s": 480.0,
                          "first_call_ms": 30.0, "peak_mb": 140.0, "spread": 0.123}],
             "stages": [{"boxes": 4, "mean_boxes": 4, **STAGES, **POSE}]}
    pair = {"detector": "det.onnx", "pose": "pose.onnx", "backend": "openvino", "precision": "bf16", "peak_mb": 200.0,
            "stages": [{"boxes": None, "mean_boxes": 2.5, **STAGES, **POSE, **DETECTOR}]}
    tables = tables_of({"models": [model], "pipelines": [pair]})
    name = ["pose.onnx", "openvino", "bf16 (fp16 weights)"]
    assert [list(each.rows[0]) for each in tables] == [
        [*name, "192x256", 11.0, None, None, None],
        [*name, 1.0, 0.5, 30.0, 90.0, 40.0, 140.0],
        [*name, 4, 8.0, 9.0, 10.0, 480.0, 30.0, 140.0, "12%"],
        [*name, 4, 10.0, 1.0, 4.0, 0.5, 17.0, 20.0, 58.0],
        ["det.onnx + pose.onnx", "openvino", "bf16", "2.5 found", 10.0, 1.5, 5.5, 17.0, 20.0, 58.0, 200.0],
    ]
    assert all(len(each.header) == len(each.rows[0]) for each in tables)


def test_made_boxes_lie_in_the_picture_and_are_always_the_same():
    boxes = some_boxes((1280, 720), 50)
    assert (some_boxes((1280, 720), 50) == boxes).all()
    assert boxes.shape == (50, 4) and (boxes >= 0).all()
    assert (boxes[:, [2, 3]] <= [1280, 720]).all()
    sides = (boxes[:, 2:] - boxes[:, :2]) / [1280, 720]
    assert sides.min() >= 0.199 and sides.max() <= 0.601


def test_a_made_picture_is_a_jpeg_worth_decoding(tmp_path):
    from pose_tools.report.draw import imread

    path = make_picture(tmp_path / "made.jpg", (320, 200))
    assert imread(path).shape == (200, 320, 3)
    # Photographs have about 1 to 3 bits a pixel.
    assert 0.5 < path.stat().st_size * 8 / (320 * 200) < 6
