import io
import json
import warnings

import numpy as np
import pytest
from PIL import Image

from pose_tools.console import UserError
from pose_tools.dataset.sigmas.ap import Curve, allowed_px
from pose_tools.dataset.sigmas.estimate import Estimate, KeypointSigma
from pose_tools.dataset.sigmas.match import Comparison
from pose_tools.formats.schema import KeypointSet
from pose_tools.report.sigma_plot import draw_ap, draw_sigmas, png, save_report

NAMES = KeypointSet(("cat", ), ("nose", "left-eye", "$tail$ 尾"), (), (), (0.05, 0.06, 0.07))
ROWS = (KeypointSigma("nose", 40, 0, 0.02, 0.015, 0.03, 0.02), KeypointSigma("left-eye", 50, 1, 0.03, None, None, 0.03),
        KeypointSigma("$tail$ 尾", 0, 0, 0.1, 0.05, 0.2, None, ("nose", "left-eye")))
ESTIMATE = Estimate(NAMES, ROWS, True, 200.0)
CURVE = Curve(np.geomspace(0.01, 0.4, 5), np.array([0.1, 0.4, 0.7, 0.9, 1.0]),
              {"estimated": (0.04, 0.55), "now": (0.06, 0.7), "1/3 (Ultralytics)": (1 / 3, 0.98)})


def lines(axis):
    return {line.get_label(): line for line in axis.get_lines()}


def legend(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def test_sigmas_intervals_and_what_they_are_compared_with():
    [axis] = draw_sigmas(ESTIMATE, "How far").axes
    shown = lines(axis)
    assert list(shown["estimated, 95 % interval"].get_xdata()) == [0.02, 0.03, 0.1]
    assert list(shown["now"].get_xdata()) == [0.05, 0.06, 0.07]
    assert list(shown["COCO's, by name"].get_xdata()) == [0.026, 0.025]
    spans = [list(line.get_xdata()) for line in axis.get_lines()
             if line.get_linestyle() == "-" and len(line.get_xdata()) == 2]
    assert spans == [[0.015, 0.03], [0.05, 0.2]], "one without an interval has no line"
    ticks = [tick.get_text() for tick in axis.get_yticklabels()]
    assert ticks == ["nose  (40)", "left-eye  (50)", r"\$tail\$ 尾  (0*)"]
    assert axis.get_title() == "How far" and axis.get_xscale() == "log"


def test_without_present_sigmas_none_are_drawn():
    bare = Estimate(KeypointSet(("cat", ), ("a", )), (ROWS[0], ), True, 1.0)
    assert "now" not in lines(draw_sigmas(bare, "t").axes[0])


def test_ap_and_the_error_it_allows():
    upper, lower = draw_ap(CURVE, ESTIMATE, "a against b").axes
    curve = lines(upper)["estimated sigmas times a common factor"]
    assert list(curve.get_xdata()) == list(CURVE.sigmas) and list(curve.get_ydata()) == list(CURVE.ap)
    assert "now: sigma 0.06, AP 0.700" in legend(upper) and "1/3 (Ultralytics): sigma 0.333, AP 0.980" in legend(upper)
    half = lines(lower)["OKS 0.5"]
    assert list(half.get_ydata()) == list(allowed_px(CURVE.sigmas, 200.0, 0.5))
    assert upper.get_xlim() == (CURVE.sigmas[0], CURVE.sigmas[-1])
    assert "a against b" in upper.get_title() and "200 px" in lower.get_title()


@pytest.mark.parametrize("count", [1, 3, 60])
def test_pictures_grow_with_the_keypoints_and_any_name_can_be_drawn(count):
    rows = (ROWS * 20)[:count]
    estimate = Estimate(KeypointSet(("cat", ), tuple(map(str, range(count)))), rows, True, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = Image.open(io.BytesIO(png(draw_sigmas(estimate, "t"))))
    assert picture.size == (880, int(110 * (1.9 + 0.3 * count)))
    assert len(picture.convert("RGB").getcolors(100_000)) > 20


def test_a_report_is_written_whole(tmp_path):
    comparison = Comparison((), 1, 1, True, {}, {}, 0.0)
    target = tmp_path / "out"
    made = save_report(target, False, "text", json.dumps({"a": 1}), comparison, ESTIMATE, CURVE)
    assert sorted(path.name for path in target.iterdir()) == sorted(made)
    assert json.loads((target / "sigmas.json").read_text()) == {"a": 1}
    assert Image.open(target / "ap_by_sigma.png").size == (880, 880)
    with pytest.raises(UserError, match="is not empty"):
        save_report(target, False, "new", "{}", comparison, ESTIMATE, CURVE)
    assert (target / "sigmas.txt").read_text() == "text\n"
