"""A real Label Studio on loopback, for tests that need one.

It is installed once into the user's cache, and its database made there once: each
session starts a copy of both. Without a way to install it the tests fail, unless
WORKBENCH_NO_LABEL_STUDIO=1 says to leave them out.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from workbench import services
from workbench.errors import ServerError
from workbench.exchange.label_studio_project import Server
from workbench.services import LABEL_STUDIO, Access
from workbench.settings import Settings

NO_LABEL_STUDIO = "WORKBENCH_NO_LABEL_STUDIO"
NAME = LABEL_STUDIO.name


@dataclass(frozen=True)
class LabelStudioServer:
    """A running server, and who may log in."""

    server: Server
    access: Access
    settings: Settings

    def client(self) -> Any:
        return self.server.client()

    def second_annotator(self, email: str = "second@example.com") -> Server:
        """The same server, seen by another account, which is made where it is missing."""
        client = self.client()
        users = {user.email: user.id for user in client.users.list()}
        id = users.get(email) or client.users.create(email=email, username=email).id
        return Server(self.server.url, self._token(id))

    def _token(self, user: int) -> str:
        """The account's own token: only its owner may ask for it, so it is read where it lies."""
        import sqlite3

        path = self.settings.home / "services" / NAME / "data" / "label_studio.sqlite3"
        with sqlite3.connect(path, timeout=30) as database:
            row = database.execute("SELECT key FROM authtoken_token WHERE user_id = ?", (user,))
            return str(row.fetchone()[0])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settings_beside(home: Path, **changes: Any) -> Settings:
    """Settings with a home of their own, where Label Studio is installed already."""
    if os.environ.get(NO_LABEL_STUDIO) == "1":
        pytest.skip(f"{NO_LABEL_STUDIO}=1")
    cached = replace(Settings.load({}, root=home), home=Settings.load().home)
    try:
        services.install(LABEL_STUDIO, cached)
    except ServerError as error:
        pytest.fail(f"{error} To leave these tests out, set {NO_LABEL_STUDIO}=1.")
    settings = replace(cached, home=home, **changes)
    environment = services.environment_folder(LABEL_STUDIO, settings)
    environment.parent.mkdir(parents=True, exist_ok=True)
    if not environment.exists():
        environment.symlink_to(services.environment_folder(LABEL_STUDIO, cached))
    return settings


def migrated(home: Path) -> Settings:
    """Settings as `settings_beside` gives them, with a database that is made already."""
    settings = settings_beside(home)
    environment = services.environment_folder(LABEL_STUDIO, settings)
    template = environment.resolve().with_name(environment.name + "-data")
    if not (template / "whole").exists():
        _migrate(template)
    folder = home / "services" / NAME
    shutil.copytree(template / "data", folder / "data")
    shutil.copy(template / "access.json", folder)
    return settings


def _migrate(template: Path) -> None:
    from filelock import FileLock

    with FileLock(template.with_name(template.name + ".lock")):
        if (template / "whole").exists():
            return
        shutil.rmtree(template, ignore_errors=True)
        settings = settings_beside(template / "home")
        services.up(LABEL_STUDIO, settings, port=free_port())
        services.down(LABEL_STUDIO, settings)
        made = template / "home" / "services" / NAME
        shutil.move(made / "data", template / "data")
        shutil.move(made / "access.json", template / "access.json")
        (template / "whole").touch()


@pytest.fixture(scope="session")
def label_studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelStudioServer]:
    """A Label Studio of this session, empty at its start."""
    settings = migrated(tmp_path_factory.mktemp("label-studio"))
    running = services.up(LABEL_STUDIO, settings, port=free_port())
    try:
        server = Server(running.url, running.access.token)
        yield LabelStudioServer(server, running.access, settings)
    finally:
        services.down(LABEL_STUDIO, settings)
