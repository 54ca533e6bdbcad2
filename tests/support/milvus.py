"""A real server of Milvus, of the wheel milvus, for tests."""

import contextlib
import socket
import tempfile
import warnings
from collections.abc import Iterator

import pytest

# Of the server's own etcd, which cannot be given another.
_PORT = 2380


@contextlib.contextmanager
def milvus() -> Iterator[str]:
    """A server in a temporary folder: its URL. There can be one on a machine."""
    package = pytest.importorskip("milvus", reason="needs milvus (the group 'clients')")
    with socket.socket() as other:
        taken = other.connect_ex(("127.0.0.1", _PORT)) == 0
    assert not taken, f"port {_PORT}, which this server of Milvus needs, is taken: end what has it"
    with tempfile.TemporaryDirectory(prefix="milvus", ignore_cleanup_errors=True) as folder:
        server = package.MilvusServer(package.MilvusServerConfig(data_dir=folder))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)  # its search for free ports
                server.start()
            yield f"http://127.0.0.1:{server.listen_port}"
        finally:
            server.stop()
