"""Django on this kernel, in a process of its own, because its settings are made once in one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ALONE = """
import sys
from penstock.handler import ASGIHandler, HttpResponse, path
from penstock.handler.testing import Client

def view(request):
    return HttpResponse("x")

Client(ASGIHandler([path("", view)])).get("/")
assert "django" not in sys.modules
"""
SET_UP = """
from django.conf import settings
from django.core import signals
from penstock.handler import ASGIHandler, HttpResponse, path
from penstock.handler.testing import Client

seen = []

def note(signal, **_):
    seen.append("started" if signal is signals.request_started else "finished")

def view(request):
    seen.append("view")
    return HttpResponse("x")

signals.request_started.connect(note)
signals.request_finished.connect(note)
Client(ASGIHandler([path("", view)])).get("/")
assert seen == ["view"], seen  # something has imported Django, and nobody uses it
seen.clear()
settings.configure()
for _ in range(2):
    Client(ASGIHandler([path("", view)])).get("/")
assert seen == ["started", "view", "finished"] * 2, seen
"""
FOLDER = Path(__file__).parent / "django_site"


def test_django_runs_unmodified() -> None:
    """Each test of ``django_site`` passes; its output shows which does not."""
    done = subprocess.run(
        [Path(sys.executable).with_name("pytest"), "-q", "-p", "no:cacheprovider", FOLDER],
        env={**os.environ, "PENSTOCK_TEST_DJANGO": "1"},
        cwd=FOLDER.parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


@pytest.mark.conformance("C188")
@pytest.mark.parametrize("program", [ALONE, SET_UP], ids=["without it", "set up"])
def test_django_is_noticed_where_it_is_used_and_not_imported_elsewhere(program: str) -> None:
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)
