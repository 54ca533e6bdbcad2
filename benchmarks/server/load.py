"""How does a server answer under load? Open loop: requests come whether or not it keeps up.

python -m benchmarks.server.load -m MODEL [--seconds 20] [--json FILE]
python -m benchmarks.server.load -m MODEL --url http://127.0.0.1:8000/v1/embeddings   # another one
python -m benchmarks.server.load -m MODEL --soak 600 [--json FILE]   # does its memory grow?

Texts of mixed lengths, one a request. First alone, one after the other, beside Embedder.encode;
then 32 clients at once, each with one request at a time, beside encode of all texts in one call:
the server's capacity, and the processor time of a text in either. Then Poisson arrivals at 50, 80,
100 and 150 % of it. A latency counts from when the request was due, not when it could be sent.
Clients run in this process, on the same processors. The soak sends texts of 1 to 200 words, 1 to 8
a request, from 8 clients.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from benchmarks.report import command_line, save, spread
from edge_embed import Embedder
from edge_embed.hardware.machine import memory_mb
from edge_embed.runtime.config import Hint
from edge_embed_conversion.calibration import shipped_texts

LOADS = (0.5, 0.8, 1.0, 1.5)
CLIENTS = 32


class Client:
    """Keeps connections and sends prepared requests: as little work as possible."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._place = parts.hostname, parts.port or 80
        self._path = parts.path
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    def request(self, text: str | Sequence[str]) -> bytes:
        """Return the bytes of a request for a text, or for several."""
        body = json.dumps({"input": text, "encoding_format": "base64", "model": "load"}).encode()
        head = f"POST {self._path} HTTP/1.1\r\nHost: {self._place[0]}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

    async def send(self, request: bytes) -> int:
        """Send a request and return the answer's status once it is there whole."""
        while True:
            idle = self._idle.pop() if self._idle else None
            reader, writer = idle or await asyncio.open_connection(*self._place)
            try:
                writer.write(request)
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                break
            except (ConnectionError, asyncio.IncompleteReadError):
                if idle is None:
                    raise  # else the server had closed it meanwhile: take another
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        self._idle.append((reader, writer))
        return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        """Close the connections."""
        for _, writer in self._idle:
            writer.close()


async def alone(
    client: Client, embedder: Embedder, texts: Sequence[str]
) -> tuple[list[float], list[float]]:
    """Embed texts one by one, in turns here and by the server; return the seconds of each."""
    here, there = [], []
    for text in texts:
        request = client.request(text)
        started = time.perf_counter()
        embedder.encode(text, truncation="ignore")
        between = time.perf_counter()
        assert await client.send(request) == 200
        there.append(time.perf_counter() - between)
        here.append(between - started)
    return here, there


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has taken, all threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def closed_loop(client: Client, requests: Sequence[bytes], seconds: float) -> float:
    """Keep every client busy; return requests a second."""
    stop = time.perf_counter() + seconds
    done = 0

    async def work(first: int) -> None:
        nonlocal done
        number = first
        while time.perf_counter() < stop:
            assert await client.send(requests[number % len(requests)]) == 200
            number += CLIENTS
            done += 1

    started = time.perf_counter()
    await asyncio.gather(*(work(number) for number in range(CLIENTS)))
    return done / (time.perf_counter() - started)


async def open_loop(
    client: Client, requests: Sequence[bytes], rate: float, seconds: float
) -> dict[str, object]:
    """Let requests arrive at random, so many a second on average."""
    gc.disable()  # thousands of waiting requests make a collection take tens of milliseconds
    dice = random.Random(0)
    answers: list[tuple[int, float]] = []
    pending: set[asyncio.Task[None]] = set()

    async def one(request: bytes, due: float) -> None:
        status = await client.send(request)
        answers.append((status, time.perf_counter() - due))

    started = due = time.perf_counter()
    number = 0
    while due < started + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(one(requests[number % len(requests)], due))
        pending.add(task)
        task.add_done_callback(pending.discard)
        number += 1
        due += dice.expovariate(rate)
    await asyncio.gather(*pending)
    took = time.perf_counter() - started
    gc.enable()
    accepted = [latency for status, latency in answers if status == 200]
    refused = [latency for status, latency in answers if status == 429]
    return {
        "offered_per_s": round(rate, 1),
        "sent": number,
        "answered_per_s": round(len(accepted) / took, 1),
        "statuses": dict(Counter(str(status) for status, _ in answers)),
        "accepted_ms": percentiles(accepted),
        "refused_ms": percentiles(refused),
    }


def percentiles(seconds: Sequence[float]) -> dict[str, float] | None:
    if not seconds:
        return None
    values = 1000 * np.percentile(seconds, [50, 90, 99, 100])
    return dict(zip(("p50", "p90", "p99", "max"), np.round(values, 2).tolist(), strict=True))


@asynccontextmanager
async def served(model: str, arguments: Sequence[str]) -> AsyncIterator[tuple[str, int]]:
    """Run edge-embed serve; yield its URL and process id."""
    command = [
        sys.executable,
        "-m",
        "edge_embed",
        "serve",
        "-m",
        f"load={model}",
        "--port",
        "0",
        *arguments,
    ]
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.PIPE)
    assert process.stderr is not None
    try:
        while b"ready at" not in (line := await process.stderr.readline()):
            assert line, "the server did not start"
        yield f"http://{line.decode().split()[-1]}/v1/embeddings", process.pid
    finally:
        process.terminate()
        await process.communicate()


async def measure(options: argparse.Namespace) -> dict[str, object]:
    texts = list(shipped_texts("calibration").texts)
    random.Random(0).shuffle(texts)
    hint: Hint = "latency" if "latency" in options.server else "throughput"
    embedder = Embedder(options.model, hint=hint, warm_up=True)
    lengths = embedder.count_tokens(texts)
    result: dict[str, object] = {
        "model": Path(options.model).name,
        "server": options.url or "edge-embed serve",
        "texts": len(texts),
        "tokens_a_text": {"mean": round(float(lengths.mean()), 1), "max": int(lengths.max())},
    }
    if options.url:
        return result | await load(options, embedder, options.url, texts)
    async with served(options.model, options.server) as (url, pid):
        before = memory_mb(pid)["resident"]
        result |= await load(options, embedder, url, texts, pid)
        result["resident_mb"] = {"before": before, "after": memory_mb(pid)["resident"]}
    return result


async def load(
    options: argparse.Namespace,
    embedder: Embedder,
    url: str,
    texts: Sequence[str],
    pid: int | None = None,
) -> dict[str, object]:
    client = Client(url)
    requests = [client.request(text) for text in texts]
    await closed_loop(client, requests, 2)  # connections, and a server that does not warm up itself
    here, there = await alone(client, embedder, texts[: options.singles])
    offline, capacity = [], []
    offline_cpu, server_cpu = [], []  # milliseconds a text: the clients' own work is not in it
    in_bulk = Embedder(options.model, hint="throughput")
    in_bulk.encode(texts, truncation="ignore")
    for _ in range(5):  # in turns, as a machine that others use is not always equally fast
        started, used = time.perf_counter(), time.process_time()
        in_bulk.encode(texts, truncation="ignore")
        offline.append(len(texts) / (time.perf_counter() - started))
        offline_cpu.append(1e3 * (time.process_time() - used) / len(texts))
        started, used = time.perf_counter(), processor_seconds(pid) if pid is not None else 0.0
        capacity.append(await closed_loop(client, requests, options.seconds / 5))
        if pid is not None:
            answered = capacity[-1] * (time.perf_counter() - started)
            server_cpu.append(1e3 * (processor_seconds(pid) - used) / answered)
    runs = {}
    for share in () if options.capacity else LOADS:
        rate = share * float(np.median(capacity))
        runs[f"{share:.0%}"] = await open_loop(client, requests, rate, options.seconds)
        await asyncio.sleep(1)
    client.close()
    extra = 1000 * (np.array(there) - np.array(here))
    return {
        "single_ms": {"encode": percentiles(here), "server": percentiles(there)},
        "server_over_encode_ms": {"median": round(float(np.median(extra)), 2)},
        "encode_texts_per_s": spread(offline),
        "server_32_clients_per_s": spread(capacity),
        "share_of_encode": spread([a / b for a, b in zip(capacity, offline, strict=True)]),
        "encode_cpu_ms_a_text": spread(offline_cpu),
        "server_cpu_ms_a_text": spread(server_cpu) if server_cpu else None,
        "open_loop": runs,
    }


async def soak(options: argparse.Namespace) -> dict[str, object]:
    """Send texts of random lengths and look at the server's memory twice a minute."""
    dice = random.Random(0)
    words = " ".join(shipped_texts("calibration").texts).split()
    minutes: list[dict[str, float]] = []
    async with served(options.model, options.server) as (url, pid):
        client = Client(url)
        statuses: Counter[str] = Counter()
        started = time.perf_counter()

        async def work() -> None:
            while time.perf_counter() < started + options.soak:
                texts = [
                    " ".join(dice.choices(words, k=dice.randint(1, 200)))
                    for _ in range(dice.randint(1, 8))
                ]
                status = await client.send(client.request(texts))
                statuses[str(status)] += 1
                if status == 429:
                    await asyncio.sleep(1)

        async def watch() -> None:
            while (passed := time.perf_counter() - started) < options.soak:
                minutes.append(
                    {"seconds": round(passed), "resident_mb": memory_mb(pid)["resident"]}
                )
                await asyncio.sleep(30)

        await asyncio.gather(watch(), *(work() for _ in range(8)))
        minutes.append({"seconds": round(options.soak), "resident_mb": memory_mb(pid)["resident"]})
        client.close()
    return {"model": Path(options.model).name, "statuses": dict(statuses), "memory": minutes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--url", help="A running server instead of our own.")
    parser.add_argument("--seconds", type=float, default=20, help="Of each load.")
    parser.add_argument("--singles", type=int, default=300, help="Requests sent alone.")
    parser.add_argument("--server", nargs="*", default=[], help="Arguments of edge-embed serve.")
    parser.add_argument("--capacity", action="store_true", help="No open loop: 32 clients alone.")
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="Only this.")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result = asyncio.run(soak(options) if options.soak else measure(options))
    print(json.dumps(result, indent=2))
    if options.json:
        save(options.json, result, command=command_line())


if __name__ == "__main__":
    main()
