from __future__ import annotations

from surface import ServesTheExampleSurface, TakesOtherEvents


class TestSurface(ServesTheExampleSurface):
    """Every example, behind every front door, under AWS's emulator and runtime client."""


class TestOtherEvents(TakesOtherEvents):
    """Every example, with every kind of event that is not HTTP."""
