"""Servers that run beside the workbench, without containers: `workbench up` and `down`.

    running = up(LABEL_STUDIO, settings)     # installed at the first start
    label_studio(settings)                   # its address and token, for feedback
    down(LABEL_STUDIO, settings)

A service has its own virtual environment, made whole or not at all, and listens on
loopback only. The server holds a lock on a file as long as it lives: that, and not a
process number that may long belong to another program, says whether it runs.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from workbench import loopback
from workbench.errors import ServerError, SettingsError
from workbench.exchange.label_studio_project import Server
from workbench.journal import write_whole
from workbench.records import content_id
from workbench.settings import Settings

PATIENCE_S = 600.0
"""Longest wait for a server to answer: the first start makes its database."""
GRACE_S = 15.0
"""Longest wait for a server to end by itself."""
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
"""All that a server is told of our environment: no keys of other services."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Access:
    """How to log in to a service, and the token for programs; made at its first start."""

    email: str
    password: str = field(repr=False)
    token: str = field(repr=False)


@dataclass(frozen=True)
class Service:
    """A server of others: what to install, how to start it, and where it says that it is well.

    `command` and `environment` get the folder of its data, its access and its
    port; the first word of the command is a script of its virtual environment.
    """

    name: str
    title: str
    requirements: tuple[str, ...]
    port: int
    health: str
    command: Callable[[int], tuple[str, ...]]
    environment: Callable[[Path, Access, Settings], Mapping[str, str]]


@dataclass(frozen=True)
class Running:
    """A service that answers. `fresh` where its access was made just now."""

    url: str
    access: Access
    fresh: bool


def up(
    service: Service, settings: Settings, *, port: int | None = None, tell: Tell = lambda line: None
) -> Running:
    """Start a service, installed first where it is not; returns once it answers.

    One that runs already is left as it is. `port` is on loopback, by default the
    service's own. Raises ServerError for a port that is taken, an installation
    that fails and a server that ends at once.
    """
    folder = _folder(service, settings)
    python = install(service, settings, tell)
    with _lock(folder / "up.lock") as alone:
        if not alone:
            raise ServerError(f"{service.title} is being started", "Wait for that")
        fresh = not (folder / "access.json").exists()
        access = _access(folder)
        with _lock(folder / "server.lock", patience_s=0.5) as free:
            if free:
                port = _free_port(service, port)
                _start(service, settings, python.parent, folder, access, port, free)
                tell(f"Starting {service.title} on {_url(port)}")
        url = _url(int((folder / "port").read_text()))
        _await_health(service, folder, url)
    return Running(url, access, fresh)


def down(service: Service, settings: Settings) -> bool:
    """Stop a service with all its processes; whether it ran.

    Raises ServerError when it does not end.
    """
    folder = _folder(service, settings)
    if not _alive(folder):
        (folder / "pid").unlink(missing_ok=True)
        return False
    group = _group(folder)
    if group is None:
        raise ServerError(f"{service.title} is being started", "Wait for that, then stop it")
    for number, patience_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
        with suppress(ProcessLookupError):
            os.killpg(group, number)
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if not _alive(folder):
                with suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)  # children that outlived it
                (folder / "pid").unlink(missing_ok=True)
                return True
            time.sleep(0.1)
    raise ServerError(f"{service.title} (process {group}) does not end", "End it by hand")


def _group(folder: Path) -> int | None:
    """The process group of the server; None in the moment before it wrote its number."""
    try:
        return int((folder / "pid").read_text())
    except (FileNotFoundError, ValueError):
        return None


def label_studio(settings: Settings) -> Server:
    """Address and token of Label Studio: the one in the settings, else the one started here.

    Raises SettingsError when there is neither.
    """
    url, token = settings.label_studio_url, settings.label_studio_api_key
    if url and token:
        return Server(url, token)
    if url:
        raise SettingsError(
            "LABEL_STUDIO_URL is set, but not LABEL_STUDIO_API_KEY",
            "Set it to a token of an account there (Account & Settings in Label Studio)",
        )
    folder = _folder(LABEL_STUDIO, settings)
    if not _alive(folder):
        raise SettingsError(
            "There is no Label Studio",
            "Start one here (workbench up label-studio), "
            "or set LABEL_STUDIO_URL and LABEL_STUDIO_API_KEY",
        )
    return Server(_url(int((folder / "port").read_text())), _access(folder).token)


def install(service: Service, settings: Settings, tell: Tell = lambda line: None) -> Path:
    """The Python of a service's own environment, made at the first call and kept.

    Its folder is named by what is in it. An installation that was interrupted is
    made anew. Raises ServerError when pip fails.
    """
    from filelock import FileLock

    folder = environment_folder(service, settings)
    python, whole = folder / "bin" / "python", folder / "whole"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(folder.name + ".lock")):
        if whole.exists():
            return python
        shutil.rmtree(folder, ignore_errors=True)
        tell(f"Installing {service.title} into {folder}: some minutes, 1 GB")
        pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
        for command in ([sys.executable, "-m", "venv", str(folder)], [*pip, *service.requirements]):
            if subprocess.run(command, stdout=sys.stderr).returncode != 0:
                raise ServerError(
                    f"{service.title} could not be installed into {folder}",
                    "See what pip says above; then start again",
                )
        whole.touch()
    return python


def environment_folder(service: Service, settings: Settings) -> Path:
    """Where a service's virtual environment lies: its name follows from its content."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    key = content_id(service.requirements, version, sys.base_prefix, length=12)
    return _folder(service, settings) / f"environment-{key}"


def database(url: str) -> dict[str, str]:
    """Label Studio's variables for a database; for "" those of its own SQLite file.

    Raises SettingsError for anything but postgresql://USER:PASSWORD@HOST:PORT/NAME;
    the message does not repeat it, since it holds a password.
    """
    if not url:
        return {"DJANGO_DB": "sqlite"}
    try:
        parts = urlsplit(url)
        port = parts.port or 5432
    except ValueError:
        parts, port = urlsplit(""), 0
    name = unquote(parts.path.removeprefix("/"))
    known = parts.scheme in ("postgresql", "postgres") and parts.hostname and parts.username
    if not known or not name or "/" in name or parts.query or parts.fragment:
        raise SettingsError(
            "LABEL_STUDIO_DATABASE_URL is not the address of a PostgreSQL database",
            "Set it to postgresql://USER:PASSWORD@HOST:PORT/NAME, or to nothing for SQLite",
        )
    return {
        "DJANGO_DB": "default",
        "POSTGRE_USER": unquote(parts.username or ""),
        "POSTGRE_PASSWORD": unquote(parts.password or ""),
        "POSTGRE_HOST": parts.hostname or "",
        "POSTGRE_PORT": str(port),
        "POSTGRE_NAME": name,
    }


def _label_studio_command(port: int) -> tuple[str, ...]:
    where = ("--internal-host", loopback.HOST, "--port", str(port))
    return ("label-studio", "start", "--no-browser", "--log-level", "WARNING", *where)


def _label_studio_environment(data: Path, access: Access, settings: Settings) -> dict[str, str]:
    return {
        **database(settings.label_studio_database_url),
        # Through the variable: Label Studio reads its settings before its --data-dir.
        "LABEL_STUDIO_BASE_DATA_DIR": str(data),
        "LABEL_STUDIO_USERNAME": access.email,
        "LABEL_STUDIO_PASSWORD": access.password,
        "LABEL_STUDIO_USER_TOKEN": access.token,
        "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
        "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
    }


def _pinned(name: str) -> tuple[str, ...]:
    """The lines of a requirements file beside this module."""
    lines = Path(__file__).with_name(name).read_text().splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


LABEL_STUDIO = Service(
    name="label-studio",
    title="Label Studio",
    requirements=_pinned("label-studio.txt"),
    port=8080,
    health="/health",
    command=_label_studio_command,
    environment=_label_studio_environment,
)

SERVICES: dict[str, Service] = {LABEL_STUDIO.name: LABEL_STUDIO}


def _folder(service: Service, settings: Settings) -> Path:
    return settings.home / "services" / service.name


def _url(port: int) -> str:
    return f"http://{loopback.HOST}:{port}"


def _access(folder: Path) -> Access:
    path = folder / "access.json"
    if path.exists():
        return msgspec.json.decode(path.read_bytes(), type=Access)
    folder.mkdir(parents=True, exist_ok=True)
    made = Access("rater@example.com", secrets.token_urlsafe(12), secrets.token_hex(20))
    with _private():
        write_whole(path, msgspec.json.encode(made))
    return made


@contextmanager
def _private() -> Iterator[None]:
    """Files made here can be read by nobody else."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


def _free_port(service: Service, port: int | None) -> int:
    port = service.port if port is None else port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((loopback.HOST, port))
        except OSError:
            raise ServerError(
                f"Port {port} is taken by another program",
                f"Choose another: workbench up {service.name} --port {port + 1}",
            ) from None
    return port


def _start(
    service: Service,
    settings: Settings,
    scripts: Path,
    folder: Path,
    access: Access,
    port: int,
    lock: int,
) -> None:
    """Start the server, which keeps `lock` open as long as it lives.

    It writes its own process number before it becomes the server, so that a kill
    of ours at any moment leaves one that `down` finds.
    """
    (folder / "pid").unlink(missing_ok=True)  # a number of before may be another program's
    data = folder / "data"
    given = {name: os.environ[name] for name in _KEPT if name in os.environ}
    environ = {**given, **service.environment(data, access, settings)}
    script, *arguments = service.command(port)
    write = 'echo $$ > "$0" && exec "$@"'
    with _private():
        data.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "port", str(port))
        with open(folder / "server.log", "wb") as log:
            subprocess.Popen(
                ["/bin/sh", "-c", write, folder / "pid", scripts / script, *arguments],
                env=environ,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock,),
            )


@contextmanager
def _lock(path: Path, patience_s: float = 0.0) -> Iterator[int]:
    """The file's descriptor with its lock held, or 0 when another process holds it.

    Whoever only looks (`_alive`) holds it for a moment: `patience_s` outlasts that.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + patience_s
    try:
        while not (ours := _try_lock(file)) and time.monotonic() < deadline:
            time.sleep(0.02)
        yield file if ours else 0
    finally:
        os.close(file)  # a server that got it keeps the lock


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _alive(folder: Path) -> bool:
    if not (folder / "server.lock").exists():
        return False
    with _lock(folder / "server.lock") as free:
        return not free


def _await_health(service: Service, folder: Path, url: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if not _alive(folder):
            raise ServerError(
                f"{service.title} ended while it started", f"See {folder / 'server.log'}"
            )
        try:
            with urllib.request.urlopen(url + service.health, timeout=5):
                return
        except (OSError, urllib.error.HTTPError):
            time.sleep(0.3)
    raise ServerError(
        f"{service.title} does not answer at {url}",
        f"See {folder / 'server.log'}; end it with: workbench down {service.name}",
    )
