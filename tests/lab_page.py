"""A real JupyterLab on loopback, and a real Chromium to look at it with."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[1]
NO_BROWSER = "WORKBENCH_NO_BROWSER"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")
KERNEL_LISTENS = """() => {
    const context = window.jupyterapp?.shell?.currentWidget?.sessionContext;
    return context?.isReady && context.session?.kernel?.status === "idle";
}"""
RUN_ALL = "() => void window.jupyterapp.commands.execute('notebook:run-all-cells')"


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab whose notebooks lie in `folder`."""

    url: str
    token: str
    folder: Path

    def add_notebook(self, name: str, *sources: str) -> None:
        """A notebook of code cells."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(notebook, self.folder / name)

    def open(self, page: Any, name: str) -> None:
        """Open a notebook of that name in the page and run it until the widget is there."""
        page.goto(f"{self.url}/lab/tree/{name}?token={self.token}&reset")
        self.run_all(page)

    def run_all(self, page: Any, patience_s: float = 90) -> None:
        """Run every cell. Lab may lose a request made before its kernel listens: ask again."""
        page.wait_for_function(KERNEL_LISTENS, timeout=1000 * patience_s)
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            page.evaluate(RUN_ALL)
            try:
                page.wait_for_selector(".jp-OutputArea-output .wb", timeout=8000)
            except Exception as error:
                if "Timeout" not in type(error).__name__:
                    raise
            else:
                return
        raise AssertionError(f"the widget did not appear within {patience_s} s")


def write_lab_settings(folder: Path, theme: str) -> dict[str, str]:
    """Settings of a Lab of its own under `folder`; the environment that points to them."""
    page_config = folder / "config" / "labconfig" / "page_config.json"
    page_config.parent.mkdir(parents=True)
    announcements = "@jupyterlab/apputils-extension:announcements"
    page_config.write_text(json.dumps({"disabledExtensions": {announcements: True}}))
    themes = folder / "settings" / "@jupyterlab" / "apputils-extension"
    themes.mkdir(parents=True)
    (themes / "themes.jupyterlab-settings").write_text(json.dumps({"theme": theme}))
    return {
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "IPYTHONDIR": str(folder / "ipython"),
        "PYTHONPATH": str(ROOT),
    }


def start_lab(folder: Path, theme: str = "JupyterLab Light") -> tuple[Lab, subprocess.Popen[bytes]]:
    """Start JupyterLab on a free port and wait until it answers."""
    notebooks = folder / "notebooks"
    notebooks.mkdir(parents=True)
    environ = {**os.environ, **write_lab_settings(folder, theme)}
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    lab = Lab(f"http://127.0.0.1:{port}", secrets.token_hex(16), notebooks)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"]
    command += [f"--IdentityProvider.token={lab.token}", "--expose-app-in-browser"]
    with open(folder / "lab.log", "wb") as log:
        server = subprocess.Popen(
            command, cwd=notebooks, env=environ, stdout=log, stderr=subprocess.STDOUT
        )
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urllib.request.urlopen(f"{lab.url}/api?token={lab.token}", timeout=5).close()
        except OSError:
            time.sleep(0.2)
        else:
            return lab, server
    server.kill()
    raise AssertionError(f"JupyterLab did not start:\n{(folder / 'lab.log').read_text()[-2000:]}")


def stop_lab(server: subprocess.Popen[bytes]) -> None:
    """End the server, which ends its kernels."""
    server.terminate()
    try:
        server.wait(timeout=20)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def find_browser() -> str:
    """Path of Chromium; without one the tests fail, unless WORKBENCH_NO_BROWSER=1 says so."""
    if os.environ.get(NO_BROWSER) == "1":
        pytest.skip(f"{NO_BROWSER}=1")
    for name in BROWSERS:
        if path := shutil.which(name):
            return path
    pytest.fail(
        "There is no Chromium. Install it (apt-get install chromium), "
        f"or set {NO_BROWSER}=1 to leave the browser tests out."
    )
