"""The settings that make JupyterLab open notebooks clean. What they do is tested in JupyterLab, in
browser/test_lab_copies.py."""

import json
import os
import subprocess
import sys

from helpers.course.contents import SETTINGS, Contents, switch_on


def test_a_server_of_the_environment_takes_the_class_from_the_settings(tmp_path):
    file = tmp_path / SETTINGS
    file.parent.mkdir(parents=True)
    file.write_text('{"ServerApp": {"port": 9000}}')
    assert switch_on(tmp_path) == switch_on(tmp_path) == file
    environment = {**os.environ, "JUPYTER_CONFIG_PATH": str(tmp_path / "etc" / "jupyter")}
    environment["JUPYTER_CONFIG_DIR"] = str(tmp_path / "none")
    shown = subprocess.run(
        [sys.executable, "-m", "jupyter", "server", "--show-config-json", "--allow-root"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    server = json.loads(shown.stdout)["ServerApp"]
    assert server["contents_manager_class"] == f"{Contents.__module__}.{Contents.__name__}"
    assert server["port"] == 9000
