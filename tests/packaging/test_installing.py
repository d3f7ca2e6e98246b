"""twistd hears of chatcore however it was installed, and no longer once it was removed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile

import pytest
from environments import pip, run

import chatcore

PLUGINS = ["chatmaster", "chatnode", "chatpage"]


def test_a_wheel_brings_the_plugin_and_an_uninstall_takes_it_away(fresh, wheel):
    environment = fresh()
    assert environment.plugins() == []

    # Without an index, what is not there already can't be had: the requirements are complete.
    pip("install", "--no-index", wheel, python=environment.python)
    assert environment.plugins() == PLUGINS
    assert "--type=" in run(environment.twistd, "chatnode", "--help")
    assert "--listen=" in run(environment.twistd, "chatpage", "--help")

    pip("uninstall", "-y", "chatcore", python=environment.python)
    assert environment.plugins() == []
    assert environment.plugin_files() == []
    assert not list(environment.site_packages.glob("chatcore*"))
    assert (environment.site_packages / "twisted" / "plugins" / "twisted_core.py").is_file()


def test_an_editable_install_brings_the_plugin_and_an_uninstall_takes_it_away(
    fresh, source, tmp_path
):
    environment = fresh()
    folder = tmp_path / "checkout"
    shutil.copytree(source, folder)

    pip(
        *("install", "--no-index", "--no-build-isolation", "-e", folder),
        python=environment.python,
    )
    assert environment.plugins() == PLUGINS
    assert environment.plugin_files() == []
    where = run(environment.python, "-c", "import chatcore; print(chatcore.__file__)")
    assert where.strip() == str(folder / "chatcore" / "__init__.py")

    pip("uninstall", "-y", "chatcore", python=environment.python)
    assert environment.plugins() == []
    assert (folder / "twisted" / "plugins" / "chatcore_plugin.py").is_file()


def test_the_command_works_from_any_folder(fresh, wheel, tmp_path):
    environment = fresh()
    pip("install", "--no-index", wheel, python=environment.python)

    assert run(environment.command, "--version") == f"chatcore {chatcore.__version__}\n"
    said = run(environment.command, "start", "--app", tmp_path, cwd=tmp_path, code=2)
    assert said.startswith(f"chatcore: {tmp_path} is not an application folder")


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


class TestWheel:
    @pytest.mark.parametrize(
        "name", ["chatcore/py.typed", "chatcore/static/chatcore.js", "chatcore/tap.py"]
    )
    def test_what_is_not_a_module_is_in_it_too(self, names, name):
        assert name in names

    def test_nothing_but_the_package_and_its_plugin_is_in_it(self, names):
        outside = [
            name for name in names if not name.startswith("chatcore/") and ".dist-info/" not in name
        ]

        assert outside == ["twisted/plugins/chatcore_plugin.py"]

    def test_every_module_of_the_package_is_in_it(self, names, source):
        modules = {str(path.relative_to(source)) for path in (source / "chatcore").rglob("*.py")}

        assert modules <= set(names)

    def test_the_licence_is_in_it(self, names):
        assert any(name.endswith("/LICENSE") for name in names)


def test_the_plugin_module_imports_nothing_of_chatcore(source):
    script = """
import sys
from twisted.plugins import chatcore_plugin
assert not any(name.split(".")[0] == "chatcore" for name in sys.modules), sorted(sys.modules)
"""
    subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        cwd="/",
        env={"PYTHONPATH": str(source), "PATH": "/usr/bin:/bin"},
        timeout=60,
    )


@pytest.mark.parametrize("folder", ["twisted", "twisted/plugins"])
def test_the_folders_of_the_plugin_are_no_packages(source, folder):
    assert not (source / folder / "__init__.py").exists()
