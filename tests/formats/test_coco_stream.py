import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pose_tools.formats.coco import coco_annotation, coco_categories, coco_image, save_coco
from pose_tools.formats.coco_stream import annotation_piece, encode, save_pieces, with_ids
from pose_tools.formats.schema import KeypointSet

NAMES = KeypointSet(("car", "车"), ("nose", "尾"), links=(("nose", "尾"), ), sigmas=(0.1, 0.2))
numbers = st.floats(-1e4, 1e4)


def write_both(folder, images, annotations):
    save_coco(folder / "whole.json", {"info": {"description": "x"}, "images": images, "annotations": annotations,
                                      "categories": coco_categories(NAMES)})
    pieces = [with_ids(annotation_piece(a), a["id"], a["image_id"]) for a in annotations]
    save_pieces(folder / "pieces.json", "x", map(encode, images), pieces, coco_categories(NAMES))
    return (folder / "whole.json").read_bytes(), (folder / "pieces.json").read_bytes()


@given(boxes=st.lists(st.tuples(numbers, numbers, numbers, numbers), max_size=5), count=st.integers(0, 3))
def test_the_same_bytes_as_written_at_once(tmp_path_factory, boxes, count):
    images = [coco_image(i + 1, f"照片 \"{i}\".jpg", (40, 20)) for i in range(count)]
    annotations = [coco_annotation(i + 7, 3, 2, box, [(1.5, 2, 2), (0, 0, 0)], [[1, 2, 3, 4, 5, 6]], 12.5)
                   for i, box in enumerate(boxes)]
    whole, pieces = write_both(tmp_path_factory.mktemp("stream"), images, annotations)
    assert whole == pieces


@pytest.mark.parametrize("count", [511, 512, 513, 1025])
def test_long_lists_are_joined_where_they_are_cut(tmp_path, count):
    images = [coco_image(i, f"{i}.jpg", (1, 1)) for i in range(count)]
    whole, pieces = write_both(tmp_path, images, [])
    assert whole == pieces and len(json.loads(pieces)["images"]) == count


def test_an_error_on_the_way_leaves_nothing(tmp_path):
    def images():
        yield "{}"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        save_pieces(tmp_path / "a.json", "x", images(), [], [])
    assert list(tmp_path.iterdir()) == []


def test_what_json_has_no_word_for_is_refused():
    with pytest.raises(ValueError, match="not JSON compliant"):
        annotation_piece({"id": 1, "image_id": 1, "area": float("nan")})
