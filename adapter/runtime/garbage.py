"""Fewer garbage collections while modules are imported: hardly any of what they make is garbage."""

from __future__ import annotations

import gc
from typing import Final

INIT_THRESHOLD: Final = 50_000
"""New objects between two collections in the init phase, where Python has 700 or 2000: imports
spend up to a tenth of their time in collections. Not off, as start-up may make garbage too."""

_usual = gc.get_threshold()


def collect_rarely() -> None:
    """Raise the threshold until ``collect_as_usual``."""
    gc.set_threshold(INIT_THRESHOLD, *_usual[1:])


def collect_as_usual() -> None:
    """Undo ``collect_rarely``, unless the application has set thresholds of its own."""
    if gc.get_threshold() == (INIT_THRESHOLD, *_usual[1:]):
        # What is there now stays there: no collection has to go through it again.
        gc.freeze()
        gc.set_threshold(*_usual)
