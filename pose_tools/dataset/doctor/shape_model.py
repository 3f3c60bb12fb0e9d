"""A statistical model of an object's shape, to ask whether a labelled pose looks like the others.

A pose is K keypoints in *box units*: image px relative to the box's centre, divided by ``sqrt(w * h)``, so that (0, 0)
is the centre of the box and one unit is the object's scale. All coordinates together follow a multivariate t
distribution, the robust form of the Gaussian shape models of Cootes et al. (1995), fitted by EM with keypoints
missing (Liu and Rubin, "ML estimation of the t distribution using EM and its extensions", 1995). A rigid object seen
from anywhere spans only a few dimensions (Tomasi and Kanade, 1992), so that the smallest eigenvalues of the
covariance are replaced by their mean (Tipping and Bishop, "Probabilistic principal component analysis", 1999).
"""
from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# Degrees of freedom: small enough that one pose in twenty may be far off without bending the model.
FREEDOM = 5.0
# Nobody labels more exactly than this, in box units.
NOISE = 0.01
_ROUNDS = 25
_DONE = 1e-3
# Numbers in memory at once.
_BATCH = 4_000_000
_POSES_PER_DIRECTION = 6
_MOST_DIRECTIONS = 32
_POSES_PER_FREEDOM = 3


@dataclass(frozen=True)
class ShapeModel:
    """Mean (2K,) and scatter (2K, 2K) of the coordinates x0, y0, x1, y1, ... in box units, from ``count`` poses."""

    mean: np.ndarray
    scatter: np.ndarray
    count: int

    def log_likelihood(self, poses: np.ndarray, labelled: np.ndarray) -> np.ndarray:
        """How likely poses are, up to a constant that depends on how many keypoints are labelled.

        Args:
            poses: (N, K, 2), box units.
            labelled: (N, K), bool; the other coordinates are not looked at.

        Returns:
            (N,) natural logarithms.
        """
        found = np.zeros(len(poses))
        for rows, off, inverse, log_det in self._batches(poses, labelled):
            distance = (off * _times(inverse, off)).sum(1)
            found[rows] = -0.5 * log_det - (FREEDOM + 2 * labelled[rows].sum(1)) / 2 * np.log1p(distance / FREEDOM)
        return found

    def residuals(self, poses: np.ndarray, labelled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far each keypoint is from where the pose's other keypoints put it.

        Args:
            poses: (N, K, 2), box units.
            labelled: (N, K), bool.

        Returns:
            Where the others put it (N, K, 2), box units, and the probability (N, K) that a sound label is at least as
            far away: the tail of an F distribution with 2 and FREEDOM + (number of other coordinates) degrees of
            freedom, or fewer for a model of few poses. NaN and 1 where it is not labelled or the only one.
        """
        expected, chance = np.full(poses.shape, np.nan), np.ones(labelled.shape)
        places = np.arange(labelled.shape[1])
        for rows, off, inverse, _ in self._batches(poses, labelled):
            seen = labelled[rows]
            pull = _times(inverse, off).reshape(len(rows), -1, 2)
            size = len(places)
            own_block = inverse.reshape(len(rows), size, 2, size, 2)[:, places, :, places].transpose(1, 0, 2, 3)
            own_block = np.where(seen[..., None, None], own_block, np.eye(2))
            shift = np.linalg.solve(own_block, pull[..., None])[..., 0]
            own = (pull * shift).sum(2)
            whole = (pull.reshape(off.shape) * off).sum(1)
            others = FREEDOM + 2 * seen.sum(1)[:, None] - 2
            # Where the other keypoints are odd as well, less is known about this one.
            own *= others / (FREEDOM + np.maximum(whole[:, None] - own, 0))
            # A model from few poses is not as sure of its scatter as one from many.
            freedom = np.clip(others, 2, max(2, self.count / _POSES_PER_FREEDOM))
            judged = seen & (seen.sum(1)[:, None] > 1)
            chance[rows] = np.where(judged, (1 + own / freedom) ** (-freedom / 2), 1)
            expected[rows] = np.where(judged[..., None], poses[rows] - shift, np.nan)
        return expected, chance

    def _batches(self, poses: np.ndarray,
                 labelled: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """Goes through poses, those with the same keypoints together.

        Yields:
            Rows (B,); coordinates less the mean (B, 2K), 0 where unlabelled; the inverse of the labelled part of the
            scatter (B, 2K, 2K), 0 elsewhere; the logarithm of that part's determinant (B,).
        """
        if not len(poses):
            return
        patterns, which = np.unique(labelled, axis=0, return_inverse=True)
        order = np.argsort(which, kind="stable")
        size = len(self.mean)
        for start in range(0, len(order), step := max(1, _BATCH // size**2)):
            rows = order[start:start + step]
            first, last = which[rows[0]], which[rows[-1]]
            inverse, log_det = self._inverses(np.repeat(patterns[first:last + 1], 2, axis=1))
            seen = np.repeat(labelled[rows], 2, axis=1)
            off = np.where(seen, poses[rows].reshape(len(rows), -1) - self.mean, 0)
            yield rows, off, inverse[which[rows] - first], log_det[which[rows] - first]

    def _inverses(self, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Inverts the parts of the scatter that are seen, by the matrix inversion lemma of Woodbury."""
        factors, noise = self._factors
        own = np.where(seen[:, :, None], factors, 0)
        inner = own.transpose(0, 2, 1) @ own + noise * np.eye(factors.shape[1])
        outer = own @ np.linalg.inv(inner) @ own.transpose(0, 2, 1)
        inverse = (np.eye(len(self.mean)) * seen[:, :, None] - outer) / noise
        log_det = (seen.sum(axis=1) - factors.shape[1]) * np.log(noise) + np.linalg.slogdet(inner)[1]
        return inverse, log_det

    @functools.cached_property
    def _factors(self) -> tuple[np.ndarray, float]:
        """The scatter as ``factors @ factors.T + noise * identity``, factors (2K, Q)."""
        values, vectors = np.linalg.eigh(self.scatter)
        more = values > values[0] * (1 + 1e-6)
        return vectors[:, more] * np.sqrt(values[more] - values[0]), float(values[0])


def _times(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return (matrices @ vectors[..., None])[..., 0]


def _start(poses: np.ndarray, labelled: np.ndarray) -> ShapeModel:
    values = np.where(np.repeat(labelled, 2, axis=1), poses.reshape(len(poses), -1), np.nan)
    known = ~np.isnan(values).all(axis=0)
    mean, spread = np.zeros(values.shape[1]), np.full(values.shape[1], 0.5)
    mean[known] = np.nanmedian(values[:, known], axis=0)
    spread[known] = 1.4826 * np.nanmedian(np.abs(values[:, known] - mean[known]), axis=0)
    return ShapeModel(mean, np.diag(np.maximum(spread, NOISE) ** 2), len(poses))


def _few_directions(scatter: np.ndarray, count: int) -> np.ndarray:
    values, vectors = np.linalg.eigh(scatter)
    rest = max(len(values) - min(count, _MOST_DIRECTIONS), 1)
    values[:rest] = values[:rest].mean()
    return (vectors * np.maximum(values, NOISE**2)) @ vectors.T


def fit_shape_model(poses: np.ndarray, labelled: np.ndarray) -> ShapeModel:
    """Fits a model to poses, not all of which need be sound.

    Args:
        poses: (N, K, 2), box units; N at least 2.
        labelled: (N, K), bool.

    Returns:
        The model; it varies in at most one direction for every six poses, and in 32.
    """
    model = _start(poses, labelled)
    for _ in range(_ROUNDS):
        new = _improved(model, poses, labelled)
        change = np.abs(new.scatter - model.scatter).max()
        model = new
        if change < _DONE * np.abs(model.scatter).max():
            break
    return model


def _improved(model: ShapeModel, poses: np.ndarray, labelled: np.ndarray) -> ShapeModel:
    """One round of EM."""
    size = len(model.mean)
    weights, filled = np.empty(len(poses)), np.empty((len(poses), size))
    known = np.zeros((size, size))
    for rows, off, inverse, _ in model._batches(poses, labelled):
        pull = _times(inverse, off)
        # For labelled coordinates this gives their own values, for the others the conditional mean.
        filled[rows] = model.mean + pull @ model.scatter
        weights[rows] = (FREEDOM + 2 * labelled[rows].sum(1)) / (FREEDOM + (pull * off).sum(1))
        known += inverse.sum(0)
    mean = np.average(filled, axis=0, weights=weights)
    spread = filled - mean
    doubt = len(poses) * model.scatter - model.scatter @ known @ model.scatter
    scatter = ((spread.T * weights) @ spread + doubt) / len(poses)
    return ShapeModel(mean, _few_directions(scatter, len(poses) // _POSES_PER_DIRECTION), len(poses))
