"""What ``sam build`` makes of the template: the folders that are uploaded."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import managed_runtime
import pytest
import sam_project
from samcli.yamlhelper import yaml_dump

FUNCTIONS = ("ApiFunction", "StreamingFunction")
ELF_MACHINES = {"x86_64": 62, "arm64": 183}


@pytest.mark.parametrize("name", FUNCTIONS)
class TestFolder:
    def test_penstock_is_the_wheel_of_this_checkout(self, name: str) -> None:
        (wheel,) = sam_project.WHEELS.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            files = [file for file in archive.namelist() if file.startswith("penstock/")]
            assert len(files) > 30
            for file in files:
                assert archive.read(file) == (sam_project.BUILD / name / file).read_bytes(), file

    def test_aws_finds_the_runtime_in_it(self, name: str) -> None:
        code = "import penstock.adapter.runtime as runtime; print(runtime.__file__)"
        folder = sam_project.BUILD / name
        command = [str(managed_runtime.interpreter()), "-c", code]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        assert Path(done.stdout.strip()).is_relative_to(folder)

    def test_aws_s_client_is_not_in_it(self, name: str) -> None:
        assert not (sam_project.BUILD / name / "awslambdaric").exists()


def test_the_template_points_to_the_folders() -> None:
    resources = sam_project.read_template(sam_project.BUILD / "template.yaml")["Resources"]
    for name in FUNCTIONS:
        assert resources[name]["Properties"]["CodeUri"] == name


def test_a_wrapper_script_is_executable_in_the_user_s_folder_only(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    script = code / "penstock-exec"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    (code / "requirements.txt").write_text("penstock\n")
    template = sam_project.read_template(sam_project.TEMPLATE)
    template["Resources"]["StreamingFunction"]["Properties"]["CodeUri"] = "code"
    (tmp_path / "template.yaml").write_text(yaml_dump(template))
    built = build_streaming_function(tmp_path / "template.yaml", tmp_path)
    assert os.access(built / "penstock-exec", os.X_OK)
    assert not os.access(built / "penstock/adapter/runtime/exec", os.X_OK)


@pytest.mark.parametrize("architecture", ELF_MACHINES)
def test_compiled_modules_are_for_the_chosen_architecture(
    architecture: str, tmp_path: Path
) -> None:
    built = build_streaming_function(sam_project.TEMPLATE, tmp_path, architecture)
    modules = list(built.rglob("*.so"))
    assert modules
    # e_machine of the ELF header.
    found = {int.from_bytes(module.read_bytes()[18:20], "little") for module in modules}
    assert found == {ELF_MACHINES[architecture]}


def build_streaming_function(template: Path, folder: Path, architecture: str | None = None) -> Path:
    command = sam_project.sam("build", "StreamingFunction", "--template", str(template))
    command += ["--build-dir", str(folder / "build"), *sam_project.parameters(architecture)]
    done = subprocess.run(
        command,
        cwd=folder,
        env=sam_project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "build" / "StreamingFunction"
