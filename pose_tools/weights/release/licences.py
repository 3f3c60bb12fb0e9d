"""Names of licences, as users write them and as the hub's index has them."""
from __future__ import annotations

import re

# hub-docs, docs/hub/repositories-licenses.md: those a model's weights come under.
_HUB = frozenset((
    "afl-3.0", "agpl-3.0", "apache-2.0", "artistic-2.0", "bigscience-bloom-rail-1.0", "bigscience-openrail-m",
    "bsd", "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "bsl-1.0", "cc", "cc-by-2.0", "cc-by-2.5",
    "cc-by-3.0", "cc-by-4.0", "cc-by-nc-2.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-3.0",
    "cc-by-nc-nd-4.0", "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "cc-by-sa-3.0",
    "cc-by-sa-4.0", "cc0-1.0", "cdla-permissive-1.0", "cdla-permissive-2.0", "cdla-sharing-1.0",
    "creativeml-openrail-m", "ecl-2.0", "epl-1.0", "epl-2.0", "etalab-2.0", "eupl-1.1", "eupl-1.2", "gfdl", "gpl",
    "gpl-2.0", "gpl-3.0", "isc", "lgpl", "lgpl-2.1", "lgpl-3.0", "lgpl-lr", "lppl-1.3c", "mit", "mpl-2.0",
    "ms-pl", "ncsa", "odbl", "odc-by", "ofl-1.1", "openrail", "openrail++", "osl-3.0", "pddl", "postgresql",
    "unlicense", "wtfpl", "zlib",
))
MOST_CHARACTERS = 96


def licence_header(licence: str) -> dict[str, str]:
    """Gives the lines about a licence that head a model card.

    Args:
        licence: An SPDX name, such as ``Apache-2.0``, or any other; empty where nobody has said.

    Returns:
        ``license``; for one that the hub does not know ``other``, with its name as ``license_name``.
    """
    if not licence:
        return {}
    name = re.sub(r"-(only|or-later)$", "", licence.lower())
    if name in _HUB:
        return {"license": name}
    return {"license": "other", "license_name": re.sub(r"[^\w.+-]+", "-", licence.lower()).strip("-") or "other"}
