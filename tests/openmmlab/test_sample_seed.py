import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset
from torch.utils.data import DataLoader, Dataset

import pose_tools.openmmlab  # noqa: F401
from pose_tools.openmmlab.sample_seed import SeedSample


class Noise(Dataset):
    """What an augmentation would draw for each sample."""

    def __init__(self):
        self.seed = SeedSample()

    def __len__(self):
        return 6

    def __getitem__(self, index):
        self.seed({"sample_idx": index})
        return torch.tensor([np.random.rand(), torch.rand(1).item()], dtype=torch.float64)


def epoch(data, number, loader):
    data.seed.set_clock(seed=5, epoch=number)
    return torch.cat(list(loader))


@pytest.mark.parametrize("workers", [1, 2])
def test_samples_do_not_depend_on_workers_or_on_what_came_before(workers):
    data, alone = Noise(), Noise()
    loader = DataLoader(data, batch_size=2, num_workers=workers, persistent_workers=True)
    first, second = epoch(data, 0, loader), epoch(data, 1, loader)
    assert not torch.equal(first, second)
    # A run resumed at epoch 1, without workers, sees the same.
    assert torch.equal(second, epoch(alone, 1, DataLoader(alone, batch_size=2)))


def test_another_seed_and_another_sample_differ():
    data = Noise()
    data.seed.set_clock(1, 0)
    a, b = data[0], data[1]
    data.seed.set_clock(2, 0)
    assert not torch.equal(a, b)
    assert not torch.equal(a, data[0])


class Picky(BaseDataset):
    """A set whose samples are given up nineteen times out of twenty, as crops without an object are."""

    def load_data_list(self):
        return [{}, {}]

    def __init__(self):
        seed = SeedSample()
        seed.set_clock(3, 0)
        super().__init__(pipeline=[seed, lambda results: results if np.random.rand() < 0.05 else None])


def test_samples_that_are_given_up_do_not_send_each_other_back_for_ever():
    data = Picky()
    for _ in range(20):
        assert data[0] is not None


def test_a_new_epoch_starts_afresh():
    data = Noise()
    data.seed.set_clock(5, 0)
    first, again = data[0], data[0]
    assert not torch.equal(first, again)
    data.seed.set_clock(5, 1)
    data[0]
    data.seed.set_clock(5, 0)
    assert torch.equal(data[0], first)
