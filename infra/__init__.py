"""Where a function runs: AWS's side of every front door, and the ``penstock`` command.

Nothing here is part of a deployed function: it makes the events that AWS would send and reads the
answers as AWS would, for tests, demonstrations and work on one's own machine.
"""

from __future__ import annotations
