"""The addresses in the configs are the official ones."""
from importlib.util import find_spec
from pathlib import Path

import pytest

from pose_tools.console import UserError
from pose_tools.weights.catalog import OFFICIAL, official_weights
from pose_tools.weights.fetch import hash_in_name, name_of_address

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def test_every_address_carries_a_hash():
    for address in OFFICIAL.values():
        assert address.startswith("https://") and hash_in_name(name_of_address(address))


def test_unknown_names_are_answered_with_the_known():
    assert official_weights("rtmdet-tiny").endswith("-78e30dcc.pth")
    with pytest.raises(UserError, match="rtmpose-x"):
        official_weights("rtmdet-xl")


@pytest.mark.parametrize("name", sorted(set(OFFICIAL) - {"rtmpose-x"}))
def test_addresses_are_upstreams_own(name):
    """mmdet and mmpose install their model indexes; the size x stands only in a page of mmpose's."""
    package = "mmdet" if name.startswith("rtmdet") else "mmpose"
    root = Path(find_spec(package).origin).parent / ".mim" / "configs"
    assert any(f"Weights: {OFFICIAL[name]}\n" in file.read_text() for file in root.rglob("*.yml"))


@pytest.mark.parametrize("name", sorted(OFFICIAL))
def test_configs_start_from_them(name):
    from mmengine import Config

    model = Config.fromfile(str(CONFIGS / f"{name}-carpose.py"), import_custom_modules=False).model
    assert model.init_cfg.checkpoint == OFFICIAL[name]
