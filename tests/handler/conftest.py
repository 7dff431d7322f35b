"""Generated examples may take their time: the machine may be busy, and a test asserts no time."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
