import numpy as np
import pytest
from scipy import stats

from pose_tools.dataset.doctor.shape_model import FREEDOM, ShapeModel, fit_shape_model

SCATTER = np.array([[2.0, 0.3, 1.2, 0.0], [0.3, 1.0, 0.1, 0.4], [1.2, 0.1, 1.5, 0.2], [0.0, 0.4, 0.2, 0.8]]) / 100
MEAN = np.array([0.1, -0.2, 0.3, 0.4])
MODEL = ShapeModel(MEAN, SCATTER, 10_000)


def test_the_likelihood_is_that_of_a_multivariate_t():
    poses = np.array([[[0.0, 0.1], [0.2, 0.3]], [[0.5, -0.4], [0.1, 0.9]]])
    whole = stats.multivariate_t(MEAN, SCATTER, FREEDOM)
    found = MODEL.log_likelihood(poses, np.ones((2, 2), bool))
    expected = whole.logpdf(poses.reshape(2, 4))
    assert np.diff(found) == pytest.approx(np.diff(expected))


def test_what_is_not_labelled_is_left_out():
    poses = np.array([[[0.0, 0.1], [9, 9]], [[0.5, -0.4], [-9, 9]]])
    part = stats.multivariate_t(MEAN[:2], SCATTER[:2, :2], FREEDOM)
    found = MODEL.log_likelihood(poses, np.array([[True, False]] * 2))
    assert np.diff(found) == pytest.approx(np.diff(part.logpdf(poses[:, 0])))


def test_a_keypoint_is_expected_where_the_regression_on_the_others_puts_it():
    pose = np.array([[[0.0, 0.1], [0.2, 0.3]]])
    expected, chance = MODEL.residuals(pose, np.ones((1, 2), bool))
    first, second = slice(0, 2), slice(2, 4)
    gain = SCATTER[first, second] @ np.linalg.inv(SCATTER[second, second])
    conditional = MEAN[first] + gain @ (pose[0, 1] - MEAN[second])
    assert expected[0, 0] == pytest.approx(conditional)
    # The conditional distribution of a multivariate t: scatter widened by how odd the others are.
    spread = SCATTER[first, first] - gain @ SCATTER[second, first]
    off = pose[0, 1] - MEAN[second]
    spread = spread * (FREEDOM + off @ np.linalg.inv(SCATTER[second, second]) @ off) / (FREEDOM + 2)
    away = pose[0, 0] - conditional
    assert chance[0, 0] == pytest.approx(stats.f.sf(away @ np.linalg.inv(spread) @ away / 2, 2, FREEDOM + 2))


def test_a_lonely_keypoint_is_not_judged():
    expected, chance = MODEL.residuals(np.full((1, 2, 2), 50.0), np.array([[True, False]]))
    assert np.isnan(expected).all() and (chance == 1).all()


def test_a_model_of_few_poses_is_less_sure():
    pose = np.array([[[0.6, 0.1], [0.2, 0.3]]])
    few = ShapeModel(MEAN, SCATTER, 9).residuals(pose, np.ones((1, 2), bool))[1]
    assert few[0, 0] > MODEL.residuals(pose, np.ones((1, 2), bool))[1][0, 0]


def test_the_fit_finds_what_the_poses_were_drawn_from_despite_gaps_and_outliers():
    rng = np.random.default_rng(0)
    poses = rng.multivariate_normal(MEAN, SCATTER, 4000).reshape(-1, 2, 2)
    poses[:100] += 3
    labelled = rng.random((4000, 2)) > 0.2
    model = fit_shape_model(poses, labelled)
    assert model.mean == pytest.approx(MEAN, abs=0.02)
    correlation = model.scatter / np.sqrt(np.outer(np.diag(model.scatter), np.diag(model.scatter)))
    true = SCATTER / np.sqrt(np.outer(np.diag(SCATTER), np.diag(SCATTER)))
    assert correlation == pytest.approx(true, abs=0.13)
    plain = np.corrcoef(poses[labelled.all(1)].reshape(-1, 4).T)
    assert np.abs(plain - true).max() > 0.6, "a Gaussian would have been bent by the outliers"


def test_a_model_of_few_poses_varies_in_few_directions():
    rng = np.random.default_rng(1)
    model = fit_shape_model(rng.normal(size=(13, 4, 2)), np.ones((13, 4), bool))
    values = np.linalg.eigvalsh(model.scatter)
    assert values[:6] == pytest.approx(np.full(6, values[0])) and values[6] > values[0] * 1.01


def test_keypoints_that_nobody_labelled_do_not_break_the_fit():
    labelled = np.ones((30, 3), bool)
    labelled[:, 2] = False
    model = fit_shape_model(np.random.default_rng(2).normal(size=(30, 3, 2)), labelled)
    assert np.isfinite(model.scatter).all() and np.linalg.eigvalsh(model.scatter).min() > 0
