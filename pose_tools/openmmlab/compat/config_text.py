"""A config's text is laid out once, not at every checkpoint.

Stands in for ``mmengine/config/config.py:1376``: ``Config.pretty_text`` has yapf lay out the whole config each
time it is asked, seconds for a config of this project, and ``Runner.save_checkpoint`` asks every time.
"""
from __future__ import annotations

from collections import OrderedDict
from typing import Any

KEPT = 8


def install() -> None:
    """Remembers the last few texts by the content of the config."""
    from mmengine import Config

    upstream = Config.pretty_text
    if not isinstance(upstream, property) or getattr(upstream.fget, "remembers", False):
        return
    texts: OrderedDict[str, str] = OrderedDict()

    def pretty_text(self: Any) -> str:
        content = repr(self._to_lazy_dict())
        if content not in texts:
            texts[content] = upstream.fget(self)  # type: ignore[misc]
            while len(texts) > KEPT:
                texts.popitem(last=False)
        return texts[content]

    pretty_text.remembers = True  # type: ignore[attr-defined]
    Config.pretty_text = property(pretty_text)
