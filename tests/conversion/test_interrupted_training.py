"""``distill`` as a program that is stopped: it says that it can go on, and it does."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.interrupts import listen_to_interrupts

# As the program, with one thread of torch: on a busy machine they wait for each other.
PROGRAM = "import torch; torch.set_num_threads(1); from edge_embed.cli import run; run()"
WAIT = 280


@pytest.fixture
def command(tiny_bert_source: Path, tmp_path: Path) -> list[str]:
    corpus = tmp_path / "corpus.txt"
    words = [f"{a} {b} {c}" for a in "abcdefgh" for b in "ijklmnop" for c in "qrstuvwx"]
    corpus.write_text("\n".join(words) + "\n")
    sizes = "--hidden-size 32 --embedding-size 16 --layers 2 --heads 2 --ffn-size 64"
    others = "--vocab-size 200 --steps 200 --precision fp32"
    read = ["--teacher", str(tiny_bert_source), "--corpus", str(corpus)]
    arguments = ["distill", *read, "-o", str(tmp_path / "out"), *sizes.split(), *others.split()]
    return [sys.executable, "-c", PROGRAM, *arguments]


def stop(command: list[str], checkpoint: Path, sent: signal.Signals) -> tuple[int, str]:
    """Run until there is a new checkpoint, send the signal; return status and standard error."""
    before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, preexec_fn=listen_to_interrupts
    ) as process:
        deadline = time.monotonic() + WAIT
        while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before:
            assert process.poll() is None, "it ended before it could be stopped"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(sent)
        said = process.communicate(timeout=WAIT)[1]
    return process.returncode, said


def test_a_distillation_goes_on_after_each_stop(command: list[str], tmp_path: Path) -> None:
    work = tmp_path / "out.work"
    promise = f"edge-embed: interrupted; the work so far is in {work}: the same command goes on"
    for number, sent in enumerate([signal.SIGTERM, signal.SIGINT, signal.SIGKILL]):
        status, said = stop(command, work / "checkpoint.pt", sent)
        assert not (tmp_path / "out").exists()
        assert ("train: resumed at step" in said) == (number > 0)
        if sent is signal.SIGKILL:
            assert status == -signal.SIGKILL
        else:
            assert status == 1
            assert said.splitlines()[-1].startswith(promise)
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT)
    assert done.returncode == 0, done.stderr
    assert "train: resumed at step" in done.stderr
    assert (tmp_path / "out" / "modules.json").exists()
