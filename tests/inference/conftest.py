"""What several tests of this room start from."""
import pytest


@pytest.fixture(scope="session")
def openmmlab():
    """Stands in for what mmdet and mmpose cannot be imported without."""
    import pose_tools.openmmlab

    return pose_tools.openmmlab
