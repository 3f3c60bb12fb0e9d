"""Looking models up by name, by file and by word, over all catalogs."""
from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

from pose_tools.console import UserError
from pose_tools.weights.catalog.model_index import index_entries
from pose_tools.weights.catalog.reading import CATALOG_FILE, read_catalog
from pose_tools.weights.entries import Entry, ModelFile, Source
from pose_tools.weights.hashes import is_of_one_file

OWN_CATALOG = Path(__file__).resolve().parents[1] / CATALOG_FILE


@functools.cache
def own_catalog() -> dict[str, Entry]:
    """Reads the catalog that the project ships."""
    return read_catalog(OWN_CATALOG, own=True)


class Catalog:
    """All that is known, the user's own catalogs first, then the project's, then the installed indexes.

    Args:
        own: Catalogs of the user's: entries by name.
    """

    def __init__(self, own: Iterable[dict[str, Entry]] = ()) -> None:
        """Puts the catalogs in order; an earlier one hides entries of the same name in a later one."""
        self.listed: dict[str, Entry] = {}
        for entries in (*own, own_catalog()):
            self.listed = {**self.listed, **{name: e for name, e in entries.items() if name not in self.listed}}

    def __iter__(self) -> Iterator[Entry]:
        """Goes through every entry once: those listed, then those of the indexes."""
        yield from self.listed.values()
        yield from (entry for name, entry in index_entries().items() if name == entry.name and name not in self.listed)

    def find(self, name: str) -> Entry:
        """Looks an entry up.

        Args:
            name: As a catalog or an index has it, or of a model's config; upper and lower case count.

        Raises:
            UserError: There is none; the nearest names are in the message.
        """
        entry = self.listed.get(name) or index_entries().get(name) or self._of_config(name)
        if entry is None:
            known = [*self.listed, *index_entries()]
            near = difflib.get_close_matches(name, known, 3) or [each for each in known if name.lower() in each.lower()]
            hint = f"; did you mean {', '.join(near[:3])}?" if near else ""
            raise UserError(f"there is no model called {name!r}{hint} (tools/download_weights.py --list --search WORD)")
        return entry

    def _of_config(self, config: str) -> Entry | None:
        """The model that was trained with a config of that name."""
        return next((entry for entry in self.listed.values() if entry.config == config), None) if config else None

    def search(self, word: str) -> list[Entry]:
        """Finds entries in whose name, title, task, classes, markers, framework or files all words stand.

        Args:
            word: One or several words; upper and lower case are one.
        """
        words = word.lower().split()
        return [entry for entry in self if all(each in _text_of(entry) for each in words)]

    def with_file(self, name: str, source: Source | None = None) -> tuple[Entry, ModelFile] | None:
        """Finds what is known of a file.

        Args:
            name: A file name without folders; it counts if its digits make it the name of one file only.
            source: Where the file is had from; it counts where a catalog or index has the same.

        Returns:
            The entry and the file, or ``None`` where no file, or more than one that differ, are found.
        """
        found = [(entry, file) for entry in self for file in entry.files
                 if (file.name == name and is_of_one_file(name)) or (source is not None and source in file.sources)]
        found = [(entry, file) for entry, file in found if entry.name in self.listed] or found
        if not found or len({file.sha256 for _, file in found}) > 1:
            return None
        return found[0]


def _text_of(entry: Entry) -> str:
    parts = (entry.name, entry.title, entry.task, entry.classes, entry.markers, entry.framework, entry.config,
             *(file.name for file in entry.files))
    return " ".join(parts).lower()
