"""The search for the largest batch, on memory that is only calculated."""
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine import Config

import pose_tools.openmmlab  # noqa: F401
from pose_tools.console import UserError
from pose_tools.openmmlab.auto_batch import auto_batch, fit_batch, largest_batch

GIB = 2**30


@given(st.integers(0, 10**6), st.integers(1, 10**5), st.integers(1, 10**8), st.integers(1, 600))
def test_the_batch_found_is_the_largest_that_fits(fixed, each, budget, most):
    most *= 8
    tried = []

    def peak(batch):
        tried.append(batch)
        return fixed + each * batch

    found = largest_batch(peak, budget, most)
    assert found == max([batch for batch in range(8, most + 1, 8) if fixed + each * batch <= budget], default=0)
    assert len(tried) == len(set(tried)) <= 22, "no batch is tried twice"


def config(batch=32):
    return Config({"train_dataloader": {"batch_size": batch}})


def test_the_batch_is_written_and_said():
    cfg = config()
    lines = fit_batch(cfg, "cuda", 10**6, lambda batch: GIB + batch * GIB // 10, 10 * GIB)
    assert cfg.train_dataloader.batch_size == 72  # (0.85 * 10 - 1) * 10 = 75
    assert list(lines) == ["batch 72: the largest multiple of 8 within 85% of 10.0 GiB"]


@pytest.mark.parametrize(("samples", "batch"), [(1000, 120), (70, 8), (10, 8)])
def test_an_epoch_keeps_eight_steps(samples, batch):
    cfg = config()
    lines = fit_batch(cfg, "cuda", samples, lambda batch: 0, GIB)
    assert cfg.train_dataloader.batch_size == batch
    assert "keeps 8 steps" in lines[0] or samples < 64


def test_too_little_memory_is_one_line():
    with pytest.raises(UserError, match="not even 8 samples fit into 85% of the 1.0 GiB free on cuda"):
        fit_batch(config(), "cuda", 1000, lambda batch: 2 * GIB, GIB)


def test_on_a_cpu_the_batch_stays():
    cfg = config(4)
    assert "memory is not what limits; batch 4" in auto_batch(cfg, "cpu", "auto", 100)[0]
    assert cfg.train_dataloader.batch_size == 4
