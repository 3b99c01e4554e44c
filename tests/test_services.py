"""A server beside the workbench: started once, stopped whole, found again after a crash."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from examples import candidate_set
from label_studio_server import free_port, migrated, settings_beside

from workbench import services
from workbench.cli import main
from workbench.errors import ServerError, SettingsError
from workbench.exchange.label_studio_project import Server, export_pairs
from workbench.exchange.label_studio_pull import pull_annotations
from workbench.journal import Journal
from workbench.records import Rating, SetAside
from workbench.services import LABEL_STUDIO, Access, Service
from workbench.settings import Settings

pytestmark = pytest.mark.slow  # together they take more than ten seconds

ROOT = Path(__file__).resolve().parent.parent
SERVER = """
import http.server, subprocess, sys
subprocess.Popen(["sleep", "600"])
http.server.ThreadingHTTPServer(
    ("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler
).serve_forever()
"""


def _nothing(data: Path, access: Access, settings: Settings) -> Mapping[str, str]:
    return {"SECRET_TOKEN": access.token}


SMALL = Service(
    name="small",
    title="Small",
    requirements=(),
    port=0,
    health="/",
    command=lambda port: ("python", "-c", SERVER, str(port)),
    environment=_nothing,
)
"""A real server of the standard library: quick to start, with a child of its own."""


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    settings = Settings.load({}, root=tmp_path).with_(home=tmp_path / "home")
    environment = services.environment_folder(SMALL, settings)
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(sys.executable)
    (environment / "whole").touch()
    yield settings
    services.down(SMALL, settings)


def folder(settings: Settings) -> Path:
    return settings.home / "services" / "small"


def answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True


def members(group: int) -> list[int]:
    """Processes of a group, by /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def test_a_service_is_started_once_and_stopped_with_its_children(settings: Settings) -> None:
    told: list[str] = []
    first = services.up(SMALL, settings, port=free_port(), tell=told.append)
    again = services.up(SMALL, settings, port=free_port(), tell=told.append)
    assert answers(first.url)
    assert (first.fresh, again.fresh, again.url) == (True, False, first.url)
    assert first.access == again.access
    assert told == [f"Starting Small on {first.url}"]
    group = int((folder(settings) / "pid").read_text())
    assert len(members(group)) == 2
    assert services.down(SMALL, settings)
    assert not members(group)
    assert not answers(first.url)
    assert not services.down(SMALL, settings)


def test_secrets_are_for_their_owner_only(settings: Settings) -> None:
    running = services.up(SMALL, settings, port=free_port())
    for name in ("access.json", "server.log", "data", "pid"):
        assert (folder(settings) / name).stat().st_mode & 0o077 == 0
    assert running.access.token not in repr(running)
    assert running.access.password not in repr(running)
    assert (
        running.access.token not in subprocess.check_output(["ps", "axww", "-o", "args"]).decode()
    )


def test_a_stale_process_number_is_nobody(settings: Settings) -> None:
    services.up(SMALL, settings, port=free_port())
    group = int((folder(settings) / "pid").read_text())
    os.killpg(group, signal.SIGKILL)
    while members(group):
        time.sleep(0.02)
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as bystander:
        (folder(settings) / "pid").write_text(str(bystander.pid))
        assert not services.down(SMALL, settings)
        assert bystander.poll() is None
        bystander.kill()
    assert services.up(SMALL, settings, port=free_port()).url


def test_a_killed_up_leaves_a_server_that_down_finds(settings: Settings) -> None:
    port = free_port()
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from dataclasses import replace
from pathlib import Path
from test_services import SMALL, services, Settings
services._await_health = lambda *a: os.kill(os.getpid(), signal.SIGKILL)
settings = Settings.load({{}}, root=Path({str(settings.root)!r}))
services.up(SMALL, settings.with_(home=Path({str(settings.home)!r})), port={port})
"""
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    assert services.up(SMALL, settings).url.endswith(f":{port}")
    assert services.down(SMALL, settings)


def test_a_taken_port_is_refused(settings: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ServerError, match=f"Port {port} is taken"):
            services.up(SMALL, settings, port=port)
    assert not services.down(SMALL, settings)


def test_a_server_that_ends_at_once_is_one_line(settings: Settings) -> None:
    broken = replace(SMALL, command=lambda port: ("python", "-c", "raise SystemExit(3)"))
    with pytest.raises(ServerError, match="ended while it started"):
        services.up(broken, settings, port=free_port())


def test_an_environment_is_made_whole_or_not_at_all(settings: Settings) -> None:
    broken = replace(SMALL, requirements=("./no-such-folder",))
    environment = services.environment_folder(broken, settings)
    environment.mkdir(parents=True)
    (environment / "half").touch()
    with pytest.raises(ServerError, match="could not be installed"):
        services.install(broken, settings)
    assert not (environment / "whole").exists()
    assert not (environment / "half").exists()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("", {"DJANGO_DB": "sqlite"}),
        (
            "postgresql://anna:p%40ss%2Fw@db.example:5433/ratings",
            {
                "DJANGO_DB": "default",
                "POSTGRE_USER": "anna",
                "POSTGRE_PASSWORD": "p@ss/w",
                "POSTGRE_HOST": "db.example",
                "POSTGRE_PORT": "5433",
                "POSTGRE_NAME": "ratings",
            },
        ),
    ],
)
def test_a_database_is_told_in_label_studios_words(url: str, expected: dict[str, str]) -> None:
    assert services.database(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "mysql://anna:hidden@db/name",
        "postgresql://anna:hidden@db",
        "postgresql://anna:hidden@db:port/name",
        "postgresql://:hidden@/name",
        "postgresql://anna:hidden@db/name?sslmode=require",
        "postgresql://anna:hidden@[db/name",
    ],
)
def test_a_broken_database_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingsError, match="not the address of a PostgreSQL") as refusal:
        services.database(url)
    assert "hidden" not in str(refusal.value)


def test_the_settings_decide_which_label_studio_is_used(settings: Settings) -> None:
    url = "https://label.example"
    with pytest.raises(SettingsError, match="workbench up label-studio"):
        services.label_studio(settings)
    with pytest.raises(SettingsError, match="not LABEL_STUDIO_API_KEY"):
        services.label_studio(settings.with_(label_studio_url=url))
    both = settings.with_(label_studio_url=url, label_studio_api_key="key")
    assert services.label_studio(both) == Server(url, "key")


# --- Label Studio itself -------------------------------------------------------


def workbench(settings: Settings, *arguments: str) -> str:
    environ = {"WORKBENCH_ROOT": str(ROOT), "WORKBENCH_HOME": str(settings.home)}
    result = CliRunner(env=environ).invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_commands_start_and_stop_a_label_studio(tmp_path: Path) -> None:
    settings = migrated(tmp_path)
    try:
        output = workbench(settings, "up", "label-studio", "--port", str(free_port()))
        server = services.label_studio(settings)
        assert f"Label Studio is at {server.url}" in output
        assert server.token not in output  # its access was made, and shown, before
        assert [user.email for user in server.client().users.list()] == ["rater@example.com"]
        sockets = subprocess.getoutput("ss -ltnH").splitlines()
        port = server.url.rpartition(":")[2]
        local = [line.split()[3] for line in sockets if line.split()[3].endswith(f":{port}")]
        assert local in ([f"127.0.0.1:{port}"], [])  # [] where there is no ss
    finally:
        assert "is stopped" in workbench(settings, "down", "label-studio")
    assert "was not running" in workbench(settings, "down", "label-studio")


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL server of our own on loopback; its address."""
    folder.mkdir()
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    if user:
        shutil.chown(folder, user)
    data, port, secret = folder / "data", free_port(), "p@ss:w/ord"
    (folder / "secret").write_text(secret)
    make = ["initdb", "-D", data, "-U", "anna", "-A", "scram-sha-256"]
    make += ["--pwfile", folder / "secret", "-E", "UTF8", "--no-sync"]
    subprocess.run(make, user=user, cwd=folder, check=True, capture_output=True)
    serve = ["postgres", "-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1"]
    serve += ["-c", f"unix_socket_directories={folder}"]
    log = open(folder / "log", "wb")  # noqa: SIM115
    with log, subprocess.Popen(serve, user=user, cwd=folder, stderr=log, stdout=log) as server:
        try:
            ready = ["pg_isready", "-h", "127.0.0.1", "-p", str(port)]
            deadline = time.monotonic() + 60
            while subprocess.run(ready, capture_output=True).returncode != 0:
                assert server.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
            yield f"postgresql://anna:{quote(secret, safe='')}@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user can reach, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="workbench-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(not shutil.which("postgres"), reason="no PostgreSQL server here")
def test_label_studio_works_on_postgresql(tmp_path: Path, open_folder: Path) -> None:
    with postgres(open_folder / "postgres") as url:
        settings = settings_beside(tmp_path / "home", label_studio_database_url=url)
        running = services.up(LABEL_STUDIO, settings, port=free_port())
        try:
            assert running.fresh
            server = services.label_studio(settings)
            sets = [candidate_set("s", "one\0", "two"), candidate_set("r", "три", "four")]
            for new in (2, 0):
                exported = export_pairs(server, sets, title="on postgres", seed=0)
                assert exported.new == new
            client = server.client()
            for task in client.tasks.list(project=exported.project):
                region = {"from_name": "verdict", "to_name": "prompt", "type": "choices"}
                chosen = [{**region, "value": {"choices": ["A"]}}]
                client.annotations.create(id=task.id, result=chosen)
            ratings = Journal(tmp_path / "ratings.jsonl", Rating)
            aside = Journal(tmp_path / "aside.jsonl", SetAside)
            cursor = tmp_path / "cursor.json"
            for new in (2, 0):
                pulled = pull_annotations(
                    server, exported.project, sets, ratings, aside, cursor=cursor
                )
                assert (pulled.ratings, pulled.aside) == (new, 0)
            assert not list((tmp_path / "home").rglob("*.sqlite3"))
        finally:
            services.down(LABEL_STUDIO, settings)
