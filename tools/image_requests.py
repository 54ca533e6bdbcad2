#!/usr/bin/env python3
"""What tools/image.sh asks of the server in its container, over a socket file.

tools/image_requests.py SOCKET KEY [large | again | COMMAND…]

"large" sends the largest requests that the limits take, eight at once, each of which must be
answered or refused; "again" asks once. A command is run while a request is at work, which must be
answered all the same.
"""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from socket_client import ask, wait_until_ready


def main() -> None:
    """Ask, and stop at the first answer that is not as it should be."""
    path, key = sys.argv[1:3]

    def embed(texts: list[str], key: str | None = key) -> tuple[int, bytes]:
        return ask(path, "/v1/embeddings", {"model": "default", "input": texts}, key)

    if sys.argv[3:] == ["large"]:
        words = "one two three four five six seven eight nine ten " * 80
        texts = [f"{number} {words}" for number in range(2048)]  # nearly 8 MiB

        def send(_: int) -> int:
            try:
                return embed(texts)[0]
            except OSError:  # refused before all was sent, and closed
                return 503

        with ThreadPoolExecutor(8) as threads:
            found = sorted(threads.map(send, range(8)))
        print(f"eight requests of 8 MiB at once: {found}")
        if not {200, 408, 413, 429, 503}.issuperset(found):
            raise SystemExit("one was neither answered nor refused")
        expect("afterwards", embed(["one"])[0], 200)
        return
    if sys.argv[3:] == ["again"]:
        print(f"ready after {wait_until_ready(path, key):.1f} s")
        expect("a request", embed(["one"])[0], 200)
        return
    if command := sys.argv[3:]:
        with ThreadPoolExecutor(1) as thread:
            answer = thread.submit(embed, [f"a text of a few words, {n}" for n in range(300)])
            while b"requests_in_flight 2.0" not in ask(path, "/metrics", key=key)[1]:
                if answer.done():
                    raise SystemExit(f"the request was answered too early: {answer.result()[0]}")
                time.sleep(0.01)
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            status, content = answer.result()
        expect("a request of 300 texts that was at work", status, 200)
        print(f"  {len(json.loads(content)['data'])} vectors")
        return
    print(f"ready after {wait_until_ready(path, key):.1f} s")
    expect("without a key", embed(["one"], key=None)[0], 401)
    expect("with the key", embed(["one", "two"])[0], 200)
    expect("2000 texts", embed([f"text number {n}" for n in range(2000)])[0], 200)
    expect("more texts than are taken", embed(["text"] * 5000)[0], 413)
    expect("a body of 20 MB", ask(path, "/v1/embeddings", {}, key, claimed=20_000_000)[0], 413)
    expect("afterwards", embed(["one"])[0], 200)


def expect(what: str, found: int, wanted: int) -> None:
    """Say what was answered, and end if it is wrong."""
    print(f"{what}: {found}")
    if found != wanted:
        raise SystemExit(f"{what}: {found} instead of {wanted}")


if __name__ == "__main__":
    main()
