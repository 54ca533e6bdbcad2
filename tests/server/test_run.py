"""``edge-embed serve`` as a process: sockets, signals, and clients that misbehave."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from edge_embed import Embedder
from tests.support.serving import WAIT, Program, program

JSON = "Content-Type: application/json\r\n"


@pytest.fixture(scope="module")
def server(tiny_model: Path) -> Iterator[Program]:
    with program(
        "-m", f"tiny={tiny_model}", "--client-timeout", "0.5", "--max-body", "100000"
    ) as it:
        yield it
        # Whatever the tests of this module did to it, it answers and stops as it should.
        assert embed(it.url).status_code == 200
        assert it.stop() == 0
        assert not [line for line in it.lines if "Traceback" in line]


def embed(url: str, text: str = "hello", **options: Any) -> httpx.Response:
    return httpx.post(f"{url}/embed", json={"inputs": text}, timeout=WAIT, **options)


def talk(server: Program, data: bytes, *, finish: bool = False) -> bytes:
    """Send bytes and return everything that comes until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT) as raw:
        raw.sendall(data)
        if finish:
            raw.shutdown(socket.SHUT_WR)
        received = b""
        while part := raw.recv(65536):
            received += part
        return received


@pytest.mark.parametrize(
    "start",
    [
        b"",
        b"POST /em",
        b"POST /embed HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"POST /embed HTTP/1.1\r\n" + JSON.encode() + b'Content-Length: 50\r\n\r\n{"inputs',
    ],
)
def test_a_client_that_stops_in_mid_request_is_cut_off(server: Program, start: bytes) -> None:
    started = time.monotonic()
    answer = talk(server, start)
    assert time.monotonic() - started < 10
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408")
    assert embed(server.url).status_code == 200


def test_a_client_that_sends_byte_by_byte_is_cut_off(server: Program) -> None:
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=WAIT) as raw,
        pytest.raises(OSError, match=r"(?i)reset|broken pipe"),
    ):
        _drip(raw)
    assert embed(server.url).status_code == 200


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\xff\x00\xff" * 100,
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /embed HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /embed HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
        b"GET /live HTTP/1.1\r\nX: " + b"y" * 200_000,
        b"POST /embed HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + JSON.encode() + b"\r\nzz\r\n",
    ],
)
def test_what_is_no_http(server: Program, data: bytes) -> None:
    try:
        answer = talk(server, data)
    except ConnectionError:
        answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert embed(server.url).status_code == 200


def test_a_client_that_closes_its_half(server: Program) -> None:
    body = b'{"inputs": "hello"}'
    head = f"POST /embed HTTP/1.1\r\nHost: x\r\n{JSON}Content-Length: {len(body)}\r\n\r\n".encode()
    for data in (head + body, head + body[:5]):
        answer = talk(server, data, finish=True)
        assert answer == b"" or answer.startswith(b"HTTP/1.1")
    assert embed(server.url).status_code == 200


@pytest.mark.skipif(sys.platform != "linux", reason="a priority is a process's there")
def test_computing_gives_way_to_answering(server: Program) -> None:
    def priority(thread: int) -> int:
        return os.getpriority(os.PRIO_PROCESS, thread)

    pid = server.process.pid
    threads = [int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()]
    assert max(priority(thread) for thread in threads) > priority(pid) == priority(os.getpid())


def test_a_body_of_100_megabytes(server: Program) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 1_000_000

    before = _resident(server)
    for content in (parts(), b" " * 100_000_000):
        try:
            headers = {"content-type": "application/json"}
            answer = httpx.post(f"{server.url}/embed", content=content, headers=headers)
            assert answer.status_code == 413
        except httpx.TransportError:
            pass  # closed while the client was sending
    assert embed(server.url).status_code == 200
    assert _resident(server) - before < 20e6


def test_many_at_a_time(server: Program, tiny_model: Path, corpus: list[str]) -> None:
    texts = corpus[:120]
    truth = Embedder(tiny_model, cache=False).encode(texts, normalize=True, truncation="ignore")
    with httpx.Client(base_url=server.url, timeout=WAIT) as http, ThreadPoolExecutor(16) as pool:

        def ask(text: str) -> list[float]:
            body = {"inputs": text, "truncate": True}
            answer: list[list[float]] = http.post("/embed", json=body).json()
            return answer[0]

        vectors = np.array(list(pool.map(ask, texts)))
    assert np.sum(vectors * truth, axis=1).min() > 0.999
    metrics = httpx.get(f"{server.url}/metrics").text
    assert "edge_embed_requests_in_flight 1.0" in metrics  # this one
    assert 'edge_embed_queue_tokens{model="tiny"} 0.0' in metrics


def test_a_stop_answers_what_is_at_work(tiny_model: Path) -> None:
    with program("-m", f"tiny={tiny_model}") as server:
        answers: list[int] = []
        texts = ["word " * 120] * 1000

        def ask() -> None:
            body = {"inputs": texts, "truncate": True}
            answers.append(httpx.post(f"{server.url}/embed", json=body, timeout=WAIT).status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        with httpx.Client(base_url=server.url, timeout=WAIT) as http:
            while "edge_embed_requests_in_flight 2.0" not in http.get("/metrics").text:
                time.sleep(0.005)
        server.process.send_signal(signal.SIGTERM)
        server.wait_for_line("stopping")
        assert server.process.wait(WAIT) == 0
        asking.join(WAIT)
        assert answers == [200]
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{server.url}/live")


def test_a_stop_ends_in_time_whatever_is_at_work(tiny_model: Path) -> None:
    large = ("--queue-tokens", "10000000", "--max-inputs", "100000", "--drain", "1")
    with program("-m", f"tiny={tiny_model}", *large) as server:
        answers: list[int] = []
        body = {"input": ["word " * 120] * 4000}

        def ask() -> None:
            url = f"{server.url}/v1/embeddings"
            answers.append(httpx.post(url, json=body, timeout=WAIT).status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        with httpx.Client(base_url=server.url, timeout=WAIT) as http:
            while 'queue_tokens{model="tiny"} 0.0' in http.get("/metrics").text:
                time.sleep(0.005)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(WAIT) == 0
        asking.join(WAIT)
        assert answers[0] in (200, 503)  # a fast machine is done in time


SLOW_MODEL = """
import sys, threading
from edge_embed import Embedder
Embedder.warm_up = lambda _: threading.Event().wait()
from edge_embed.cli import run
run(["serve", *sys.argv[1:]])
"""


def test_a_stop_ends_in_time_while_a_model_is_loaded(tiny_model: Path, tmp_path: Path) -> None:
    """It is loaded in a thread, for which the interpreter waits at its end."""
    path = tmp_path / "socket"
    arguments = ["-m", str(tiny_model), "--unix-socket", str(path), "--drain", "1"]
    command = [sys.executable, "-c", SLOW_MODEL, *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while not path.exists():
            time.sleep(0.01)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), timeout=WAIT) as client:
            assert client.get("http://here/live").status_code == 200  # so it handles signals
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT) == 0
        assert time.monotonic() - started < 30
        assert "though a model was being loaded" in process.stderr.read()
    assert not path.exists()


def test_models_and_keys_are_loaded_anew(
    tiny_model: Path, tiny_albert: Path, tmp_path: Path
) -> None:
    folder, keys = tmp_path / "model", tmp_path / "keys"
    shutil.copytree(tiny_model, folder)
    keys.write_text("old\n")
    with program("-m", f"x={folder}", "--api-keys", str(keys)) as server:
        old = embed(server.url, headers={"authorization": "Bearer old"})
        assert old.status_code == 200
        statuses: list[int] = []
        stop = threading.Event()

        def ask() -> None:
            with httpx.Client(timeout=WAIT) as http:
                while not stop.is_set():
                    for key in ("old", "new"):
                        headers = {"authorization": f"Bearer {key}"}
                        body = {"inputs": "hello"}
                        answer = http.post(f"{server.url}/embed", json=body, headers=headers)
                        statuses.append(answer.status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        # A folder that is broken for a moment changes nothing.
        (folder / "modules.json").rename(tmp_path / "modules.json")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("stays as it was")
        shutil.rmtree(folder)
        shutil.copytree(tiny_albert, folder)
        keys.write_text("new\n")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("'x' is loaded anew")
        stop.set()
        asking.join(WAIT)
        new = embed(server.url, headers={"authorization": "Bearer new"})
        truth = Embedder(tiny_albert, cache=False).encode(["hello"], normalize=True)
        np.testing.assert_allclose(np.array(new.json()), truth, atol=1e-3)
        assert set(statuses) <= {200, 401}
        assert statuses.count(200) >= len(statuses) // 2
        assert embed(server.url, headers={"authorization": "Bearer old"}).status_code == 401
        # No key at all would let nobody in: the old ones stay.
        keys.write_text("")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("nothing changed: there is no API key")
        assert embed(server.url, headers={"authorization": "Bearer new"}).status_code == 200
        assert server.stop() == 0


def test_a_unix_socket_and_a_key_in_the_environment(tiny_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "server.socket"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    arguments = ("-m", str(tiny_model), "--unix-socket", str(path), "--no-page")
    with program(*arguments, environment={"EDGE_EMBED_API_KEYS": "a b"}) as server:
        assert path.stat().st_mode & 0o777 == 0o660
        transport = httpx.HTTPTransport(uds=str(path))
        with httpx.Client(transport=transport, headers={"authorization": "Bearer b"}) as http:
            assert http.get("http://x/ready").status_code == 200
            # Ollama's clients ask there whether a server is up; it is no page.
            front = http.get("http://x/")
            assert (front.status_code, "<html" in front.text.lower()) == (200, False)
            assert http.post("http://x/", json={"inputs": "a"}).status_code == 200
        second = _failure("-m", str(tiny_model), "--unix-socket", str(path))
        assert "another server listens at" in second
        assert server.stop() == 0
    assert not path.exists()


def test_more_connections_than_file_descriptors(tiny_model: Path) -> None:
    """Further ones are closed at once, the log stays short, and the others are answered."""
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))\n"
        "from edge_embed.cli import run; run(sys.argv[1:])"
    )
    arguments = ["serve", "--no-cache", "--port", "0", "-m", str(tiny_model)]
    with limited(code, [*arguments, "--client-timeout", "3"]) as server, ExitStack() as stack:
        assert server.wait_for_line("at most 72 connections")
        answered = stack.enter_context(httpx.Client(base_url=server.url, timeout=WAIT))
        assert answered.post("/embed", json={"inputs": "a"}).status_code == 200
        for _ in range(300):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), WAIT))
        # The one that is open goes on, and when the idle ones have timed out, new ones too.
        assert answered.post("/embed", json={"inputs": "a"}).status_code == 200
        deadline = time.monotonic() + WAIT
        while True:
            try:
                assert embed(server.url).status_code == 200
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline
                time.sleep(0.2)
        assert server.stop() == 0
        assert not [line for line in server.lines if "Traceback" in line]
        assert len(server.lines) < 20


@contextmanager
def limited(code: str, arguments: list[str]) -> Iterator[Program]:
    """A server that a few lines of Python start."""
    server = Program(arguments, command=[sys.executable, "-c", code])
    try:
        yield server
    finally:
        server.end()


def test_tls(tiny_model: Path, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    command += f" -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}"
    subprocess.run(command.split(), check=True, capture_output=True)
    tls = ("--tls-certificate", str(certificate), "--tls-key", str(key))
    with program("-m", str(tiny_model), *tls, "--client-timeout", "1") as server:
        # Whoever does not shake hands is let go as soon as one who sends no headers.
        started = time.monotonic()
        assert talk(server, b"") == talk(server, b"\x16\x03\x01\x02\x00") == b""
        assert time.monotonic() - started < 20
        context = ssl.create_default_context(cafile=str(certificate))
        url = f"https://{server.address}"
        assert embed(url, verify=context).status_code == 200
        with pytest.raises(httpx.TransportError):
            embed(server.url)
        # A key without its certificate, as it is for a moment, changes nothing; both do.
        old = certificate.read_text()
        subprocess.run(command.split(), check=True, capture_output=True)
        new = certificate.read_text()
        certificate.write_text(old)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("nothing changed: cannot use the certificate")
        assert embed(url, verify=context).status_code == 200
        certificate.write_text(new)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for_line("the certificate is loaded anew")
        assert embed(url, verify=ssl.create_default_context(cadata=new)).status_code == 200
        with pytest.raises(httpx.TransportError):
            embed(url, verify=context)
        assert server.stop() == 0
    wrong = ("--tls-certificate", str(key), "--tls-key", str(certificate))
    assert "cannot use the certificate" in _failure("-m", str(tiny_model), *wrong)
    assert "TLS needs both" in _failure("-m", str(tiny_model), *wrong[:2])


def test_a_socket_that_systemd_hands_over(tiny_model: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def hand_over() -> None:
            os.dup2(listener.fileno(), 3)
            os.environ["LISTEN_PID"] = str(os.getpid())

        # env(1) sets the process id as systemd does: it stays the same through exec.
        script = 'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@"'
        command = [sys.executable, "-m", "edge_embed", "serve", "-m", str(tiny_model), "--no-cache"]
        process = subprocess.Popen(
            ["sh", "-c", script, "sh", *command],
            preexec_fn=hand_over,
            close_fds=False,
            stderr=subprocess.PIPE,
            text=True,
        )
    try:
        # The socket listens already: the request waits until the server is there.
        assert embed(f"http://127.0.0.1:{port}").status_code == 200
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=WAIT)
    assert process.returncode == 0


def test_failures_at_the_start_are_one_line(tiny_model: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        message = _failure("-m", str(tiny_model), "--port", port)
        assert message.startswith(f"edge-embed: cannot listen at 127.0.0.1:{port}: Address already")
    assert "no model 'nowhere'" in _failure("-m", "nowhere")
    twice = _failure("-m", str(tiny_model), "-m", str(tiny_model))
    assert "two models have the same name" in twice
    assert "the limit for all is" in _failure("-m", str(tiny_model), "--model-memory", "0.001")
    missing = _failure("-m", str(tiny_model), "--index", str(tmp_path / "nowhere.index"))
    assert "nowhere.index" in missing
    broken = tmp_path / "broken"
    shutil.copytree(tiny_model, broken)
    (broken / "tokenizer.json").write_text("{")
    message = _failure("-m", str(broken))
    assert "cannot be loaded" in message
    assert "tokenizer.json is damaged" in message


def test_a_missing_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['uvicorn'] = None\nfrom edge_embed.cli import run; run(['serve'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    needed = "the server needs the package 'uvicorn': pip install 'edge-embed[server]'"
    assert (done.returncode, done.stderr.strip()) == (1, f"edge-embed: {needed}")


def test_curl(server: Program) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("needs curl")
    body = json.dumps({"input": ["one", "two"]})
    command = [curl, "-sS", f"{server.url}/v1/embeddings", "-H", "Content-Type: application/json"]
    said = subprocess.run([*command, "-d", body], check=True, capture_output=True, timeout=WAIT)
    assert len(json.loads(said.stdout)["data"]) == 2


def _drip(raw: socket.socket) -> None:
    started = time.monotonic()
    raw.sendall(b"GET /")
    while time.monotonic() - started < WAIT:
        raw.sendall(b"x")
        time.sleep(0.05)


def _failure(*arguments: str) -> str:
    """Run a server that cannot start; return what it says."""
    command = [sys.executable, "-m", "edge_embed", "serve", "--no-cache", "--port", "0", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT, check=False)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    return done.stderr


def _resident(server: Program) -> float:
    text = httpx.get(f"{server.url}/metrics").text
    name = "process_resident_memory_bytes "
    return float(next(line for line in text.splitlines() if line.startswith(name)).split()[1])
