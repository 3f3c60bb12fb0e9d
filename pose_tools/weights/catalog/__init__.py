"""What can be fetched by name: the project's catalog, the user's own, and the installed packages' model indexes."""
from pose_tools.weights.catalog.known import Catalog, own_catalog
from pose_tools.weights.catalog.reading import CATALOG_FILE, read_catalog

__all__ = ["CATALOG_FILE", "Catalog", "own_catalog", "read_catalog"]
