"""What pyproject.toml says is what is there."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PROJECT["tool"]["setuptools"]
FOLDERS = ("adapter", "handler", "infra")


def test_the_packages_are_the_folders_with_python_files() -> None:
    found = {path.parent for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    expected = {"penstock." + ".".join(path.relative_to(ROOT).parts) for path in found}
    assert sorted(expected) == sorted(SETUPTOOLS["packages"])


def test_each_folder_has_its_import_name() -> None:
    assert {f"penstock.{folder}": folder for folder in FOLDERS} == SETUPTOOLS["package-dir"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_package_is_typed(folder: str) -> None:
    assert (ROOT / folder / "py.typed").is_file()
    assert ["py.typed"] == SETUPTOOLS["package-data"][f"penstock.{folder}"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_folder_of_a_package_is_a_package(folder: str) -> None:
    folders = {path.parent for path in (ROOT / folder).rglob("*.py")}
    assert [] == [path for path in folders if not (path / "__init__.py").is_file()]


def test_penstock_is_a_namespace() -> None:
    assert not (ROOT / "__init__.py").exists()
    assert not (ROOT / "penstock").exists()


@pytest.mark.parametrize("folder", ["adapter", "handler"])
def test_no_module_is_called_like_one_of_the_standard_library(folder: str) -> None:
    # A file that is run by its path has its folder first on sys.path.
    names = {path.stem for path in (ROOT / folder).rglob("*.py")} - {"__init__", "__main__"}
    assert set() == names & sys.stdlib_module_names


def changes() -> list[tuple[str, str]]:
    """Versions and dates of the changelog's headings, newest first."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    return re.findall(r"^## \[?(\d+\.\d+\.\d+)\]? - (\S+)$", text, flags=re.MULTILINE)


def test_the_newest_change_is_this_version() -> None:
    (version, date), *older = changes()
    assert PROJECT["project"]["version"] == version
    assert re.fullmatch(r"unreleased|\d{4}-\d\d-\d\d", date)
    assert "unreleased" not in [date for _, date in older]
    numbers = [tuple(map(int, found.split("."))) for found, _ in changes()]
    assert sorted(numbers, reverse=True) == numbers


def test_every_heading_of_a_version_is_well_formed() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert len(changes()) == len(re.findall(r"^## ", text, flags=re.MULTILINE))


def test_the_installed_version_is_this_one() -> None:
    assert PROJECT["project"]["version"] == metadata.version("penstock")


def test_the_oldest_python_is_the_same_everywhere() -> None:
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=")
    assert f"py{oldest.replace('.', '')}" == PROJECT["tool"]["ruff"]["target-version"]
    names = PROJECT["project"]["classifiers"]
    versions = [name.rpartition(" ")[2] for name in names if re.search(r":: 3\.\d+$", name)]
    assert oldest == versions[0]


def test_the_dependencies_are_pure_or_have_a_fallback() -> None:
    names = [re.split(r"[<>=~!\[; ]", item)[0] for item in PROJECT["project"]["dependencies"]]
    assert set(names) <= {"asgiref", "blinker", "multipart", "pybase64"}
