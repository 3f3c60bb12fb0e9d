"""The width of a two-dimensional normal scatter, measured in spite of gross errors, and how sure of it one can be.

A difference of two positions that scatter normally and alike in all directions has a squared length that is
exponentially distributed. Its mean is all there is to know, and is estimated here as the fixed point of: the mean of
the values below :data:`CUT` times the mean, corrected for what an exponential distribution loses by that cut. It
starts from the median, which half of the values cannot move; one honest value in a thousand is cut off.
"""
from __future__ import annotations

from collections.abc import Iterator

import numpy as np

HONEST_LOST = 0.001
CUT = float(-np.log(HONEST_LOST))
# Mean of an exponential distribution of mean 1 below CUT: 1 - c e^-c / (1 - e^-c).
_MEAN_BELOW_CUT = 1 - CUT * HONEST_LOST / (1 - HONEST_LOST)
_MEDIAN = float(np.log(2))
_CHUNK = 4_000_000  # numbers held at once


def robust_mean(squared: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Estimates the mean of exponentially distributed values among which are gross errors.

    Args:
        squared: (N,) values, 0 or more.
        weights: (B, N) weights; each row makes an estimate of its own.

    Returns:
        (B,) means; NaN where all weights of a row are 0; 0 where half of the values are 0.
    """
    order = np.argsort(squared, kind="stable")
    values, weights = squared[order], weights[:, order]
    heavy, sums = np.cumsum(weights, axis=1), np.cumsum(weights * values, axis=1)
    rows = np.arange(len(weights))
    total = heavy[:, -1]
    middle = np.minimum((heavy < total[:, None] / 2).sum(1), len(values) - 1)
    mean = values[middle] / _MEDIAN
    for _ in range(100):
        last = np.searchsorted(values, CUT * mean, side="right") - 1
        with np.errstate(invalid="ignore", divide="ignore"):
            new = np.where(mean > 0, sums[rows, last] / heavy[rows, last] / _MEAN_BELOW_CUT, mean)
        done = np.allclose(new, mean, rtol=1e-12, atol=0, equal_nan=True)
        mean = new
        if done:
            break
    return np.where(total > 0, mean, np.nan)


def plain_mean(squared: np.ndarray, weights: np.ndarray) -> float:
    """The weighted mean (N,), gross errors and all; NaN of nothing."""
    return float(np.average(squared, weights=weights)) if len(squared) else float("nan")


def interval(squared: np.ndarray, weights: np.ndarray, images: np.ndarray, seed: int = 0, rounds: int = 1000,
             level: float = 0.95) -> tuple[float, float] | None:
    """A bootstrap interval for :func:`robust_mean`, images drawn with replacement.

    Objects of an image share its light, its blur and its annotator's mood, so they are not drawn one by one. The
    percentiles are moved outwards as Student's t is wider than the normal distribution, without which intervals from
    few images are too narrow (the expanded percentile interval of T. Hesterberg, What Teachers Should Know About the
    Bootstrap, The American Statistician 69, 2015).

    Args:
        squared: (N,) values.
        weights: (N,) weights.
        images: (N,) the image each is from, any integers.
        seed: Of the draws.
        rounds: How many draws.
        level: Share of such intervals that should hold the true value.

    Returns:
        Both ends, or ``None`` when there are fewer than two images.
    """
    from scipy.stats import norm, t

    _, place = np.unique(images, return_inverse=True)
    count = int(place.max()) + 1 if len(place) else 0
    if count < 2:
        return None
    means = np.concatenate([robust_mean(squared, weights * drawn[:, place])
                            for drawn in _draws(count, len(squared), seed, rounds)])
    outside = float(norm.cdf(np.sqrt(count / (count - 1)) * t.ppf((1 - level) / 2, count - 1)))
    low, high = np.nanpercentile(means, [100 * outside, 100 * (1 - outside)])
    return float(low), float(high)


def _draws(images: int, values: int, seed: int, rounds: int) -> Iterator[np.ndarray]:
    """How often each image was drawn, (chunk, images); few enough rows at once."""
    random = np.random.default_rng(seed)
    step = max(1, _CHUNK // max(images, values))
    for start in range(0, rounds, step):
        yield random.multinomial(images, np.full(images, 1 / images), size=min(step, rounds - start))
