"""The program, run as a user runs it: outputs, exit statuses, and one line for every mistake."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_embed import Embedder
from tests.support.interrupts import listen_to_interrupts
from tests.support.peak_memory import PROGRAM, peak_of

TEXTS = ["Reset my password", "Opening hours", "Where is my order?"]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run the program with a model cache of its own."""
    cache = tmp_path_factory.mktemp("cache")
    environment = os.environ | {"XDG_CACHE_HOME": str(cache), "HF_HUB_OFFLINE": "1"}

    def call(
        *arguments: str | Path, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "edge_embed", *map(str, arguments)],
            input=stdin,
            capture_output=True,
            check=False,
            env=environment,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    return call


def digits(number: int) -> str:
    """Return a text of its own for each number, of words that the tiny vocabulary has."""
    return " ".join(f"{number:05}")


def fails(done: subprocess.CompletedProcess[str], *parts: str, status: int = 1) -> None:
    """Assert one line on stderr that says all parts, nothing on stdout, and the status."""
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in done.stderr
    if status == 1:
        assert done.stderr.count("\n") == 1, done.stderr


@pytest.fixture(scope="module")
def texts_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n")
    return path


def test_embed_arguments(run: Run, tiny_model: Path) -> None:
    done = run("embed", "-m", tiny_model, *TEXTS)
    assert (done.returncode, done.stderr) == (0, "")
    records = json.loads(done.stdout)
    assert [record["text"] for record in records] == TEXTS
    expected = Embedder(tiny_model, cache=False).encode(TEXTS)
    np.testing.assert_allclose([r["embedding"] for r in records], expected, atol=1e-5)


@pytest.mark.parametrize("ending", ["npy", "jsonl"])
def test_embed_a_file(
    run: Run, tiny_model: Path, texts_file: Path, tmp_path: Path, ending: str
) -> None:
    output = tmp_path / f"vectors.{ending}"
    done = run(
        "embed", "-m", tiny_model, "-i", texts_file, "-o", output, "--dim", "7", "--normalize"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    if ending == "npy":
        vectors = np.load(output)
    else:
        lines = output.read_text().splitlines()
        vectors = np.array([json.loads(line)["embedding"] for line in lines], np.float32)
    assert vectors.shape == (3, 7)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_embed_standard_input(run: Run, tiny_model: Path) -> None:
    done = run("embed", "-m", tiny_model, "-i", "-", stdin="\n".join(TEXTS).encode())
    assert [record["text"] for record in json.loads(done.stdout)] == TEXTS


def test_embed_many_chunks(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    count = 20_000
    texts = tmp_path / "many.txt"
    texts.write_text("".join(f"line {i % 500}\n" for i in range(count)))
    done = run("embed", "-m", tiny_model, "-i", texts, "-o", tmp_path / "v.npy")
    assert done.returncode == 0, done.stderr
    vectors = np.load(tmp_path / "v.npy")
    assert vectors.shape == (count, 32)
    # Row i is text i, in every chunk.
    np.testing.assert_allclose(vectors[:500], vectors[19_500:], atol=2e-2)


def test_int8_output_uses_fitted_ranges(
    run: Run, tiny_model: Path, texts_file: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    (model / "embedding_ranges.json").unlink(missing_ok=True)
    fails(run("embed", "-m", model, "--precision", "int8", "one"), "edge-embed ranges -m")
    done = run("ranges", "-m", model, "-i", texts_file)
    assert done.returncode == 0, done.stderr
    done = run("embed", "-m", model, "--precision", "int8", TEXTS[0])
    (record,) = json.loads(done.stdout)
    assert set(map(type, record["embedding"])) == {int}
    assert -128 <= min(record["embedding"]) <= max(record["embedding"]) <= 127


def test_similarity(run: Run, tiny_model: Path) -> None:
    done = run("similarity", "-m", tiny_model, "one", "two", "one")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert lines[0].split() == ["1.0000", "one", "|", "one"]
    matrix = json.loads(run("similarity", "-m", tiny_model, "--json", "one", "two").stdout)
    assert np.shape(matrix["similarity"]) == (2, 2)


def test_similarity_keeps_control_characters_off_the_terminal(run: Run, tiny_model: Path) -> None:
    done = run("similarity", "-m", tiny_model, "red \x1b[31m alert", "one")
    assert "\x1b" not in done.stdout


def test_info(run: Run, tiny_model: Path) -> None:
    facts = json.loads(run("info", "-m", tiny_model, "--json").stdout)
    assert facts["model"]["dimensions"] == 32
    assert facts["model"]["variant"] == "int8"
    assert "dimensions             32" in run("info", "-m", tiny_model).stdout


def test_help_names_every_command(run: Run) -> None:
    done = run("--help")
    assert done.returncode == 0
    for command in ("embed", "similarity", "info", "convert", "verify"):
        assert f"  {command} " in done.stdout


def test_a_cut_is_said(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    texts = tmp_path / "long.txt"
    texts.write_text("short\n" + "long " * 300 + "\n")
    done = run("embed", "-m", tiny_model, "-i", texts, "-o", tmp_path / "v.npy")
    assert done.returncode == 0
    assert "warning: 1 of 2 texts are longer than 128 tokens and were cut" in done.stderr
    output = tmp_path / "w.npy"
    done = run("embed", "-m", tiny_model, "-i", texts, "-o", output, "--truncation", "error")
    fails(done, f"{texts}, line 2: the text has", "the model reads 128")
    done = run("embed", "-m", tiny_model, "a", "long " * 300, "--truncation", "error")
    fails(done, "argument 2: the text has")
    assert not output.exists()


# Bad input: each one line that names the thing and the remedy, and nothing half-written.


def test_an_unknown_model(run: Run) -> None:
    fails(run("embed", "-m", "no-such-model", "x"), "'no-such-model'", "hub id such as")


def test_a_hub_id_without_network(run: Run) -> None:
    fails(run("embed", "-m", "nobody/nothing", "x"), "'nobody/nothing'", "cannot be reached")


def test_a_folder_without_pooling(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    (model / "1_Pooling/config.json").unlink()
    fails(run("embed", "-m", model, "x"), "1_Pooling", "config.json is missing")
    (model / "modules.json").unlink()
    fails(run("embed", "-m", model, "x"), "modules.json is missing")


@pytest.mark.parametrize("suffix", [".xml", ".bin"])
def test_a_corrupt_graph(run: Run, tiny_model: Path, tmp_path: Path, suffix: str) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    file = next((model / "openvino").glob(f"*quantized{suffix}"))
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    fails(run("embed", "-m", model, "--no-cache", "x"), "damaged", "copy the model again")
    file.unlink()
    if suffix == ".bin":
        fails(run("embed", "-m", model, "--no-cache", "x"), f"{file.name} is missing")


def test_a_truncated_tokenizer(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    file = model / "tokenizer.json"
    file.write_bytes(file.read_bytes()[:999])
    fails(run("embed", "-m", model, "x"), "tokenizer.json is damaged", "copy it again")


@pytest.mark.parametrize(
    ("name", "content", "options", "parts"),
    [
        ("a.csv", b"x,y\n1,2\n", ["--column", "text"], ["no column 'text'", "x, y"]),
        ("a.txt", b"caf\xe9\n", [], ["line 1: not UTF-8", "iconv"]),
        ("a.txt", b"", [], ["is empty"]),
        ("a.txt", b"one\n\n", [], ["line 2: the text is empty", "--allow-empty"]),
        ("a.docx", b"x", [], ["cannot tell the format", ".txt, .jsonl"]),
    ],
)
def test_bad_input_files(
    run: Run,
    tiny_model: Path,
    tmp_path: Path,
    name: str,
    content: bytes,
    options: list[str],
    parts: list[str],
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    output = tmp_path / "v.npy"
    done = run("embed", "-m", tiny_model, "-i", path, "-o", output, *options)
    fails(done, str(path), *parts)
    assert sorted(tmp_path.iterdir()) == [path]


def test_bad_text_late_in_a_file_leaves_no_output(
    run: Run, tiny_model: Path, tmp_path: Path
) -> None:
    texts = tmp_path / "t.txt"
    texts.write_bytes(b"fine\n" * 9000 + b"\xff\n")
    done = run("embed", "-m", tiny_model, "-i", texts, "-o", tmp_path / "v.npy")
    fails(done, "line 9001: not UTF-8")
    fails(run("embed", "-m", tiny_model, "-i", texts), "line 9001: not UTF-8")
    assert sorted(tmp_path.iterdir()) == [texts]


def test_a_missing_file(run: Run, tiny_model: Path) -> None:
    fails(run("embed", "-m", tiny_model, "-i", "nowhere.txt"), "no such file: nowhere.txt")


def test_empty_text(run: Run, tiny_model: Path) -> None:
    fails(run("embed", "-m", tiny_model, ""), "text 1 is empty", "--allow-empty")
    done = run("embed", "-m", tiny_model, "--allow-empty", "")
    assert len(json.loads(done.stdout)) == 1
    fails(run("similarity", "-m", tiny_model, "one", " "), "text 2 is empty")


def test_a_text_of_a_megabyte(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    texts = tmp_path / "big.txt"
    texts.write_text("word " * 200_000 + "\n" + "x" * 1_000_000 + "\n")
    done = run("embed", "-m", tiny_model, "-i", texts, "-o", tmp_path / "v.npy")
    assert done.returncode == 0, done.stderr
    assert "1 of 2 texts are longer" in done.stderr
    assert np.isfinite(np.load(tmp_path / "v.npy")).all()


def test_control_characters(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    texts = tmp_path / "control.jsonl"
    texts.write_text(json.dumps({"text": "bell\x07 null\x00 escape\x1b[31m"}) + "\n")
    done = run("embed", "-m", tiny_model, "-i", texts)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert json.loads(done.stdout)[0]["text"] == "bell\x07 null\x00 escape\x1b[31m"


def test_lone_surrogates(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    texts = tmp_path / "surrogate.jsonl"
    texts.write_text('{"text": "bro\\ud83dken"}\n')
    output = tmp_path / "v.npy"
    fails(
        run("embed", "-m", tiny_model, "-i", texts, "-o", output), "half a surrogate pair (U+D83D"
    )
    assert not output.exists()
    broken = os.fsdecode(b"latin1 caf\xe9")  # as the shell hands over bytes that are not UTF-8
    fails(run("embed", "-m", tiny_model, broken), "lone surrogate")


def test_a_full_disk(
    run: Run, tiny_model: Path, tmp_path: Path, small_disk: Callable[[str], Path]
) -> None:
    disk = small_disk("64k")
    many = tmp_path / "many.txt"
    many.write_text("".join(f"{digits(i)}\n" for i in range(2000)))
    done = run("embed", "-m", tiny_model, "-i", many, "-o", disk / "v.npy")
    fails(done, "the disk is full", "free some space")
    assert list(disk.iterdir()) == []


def test_no_place_to_write(run: Run, tiny_model: Path, tmp_path: Path) -> None:
    fails(run("embed", "-m", tiny_model, "x", "-o", tmp_path / "no/v.npy"), "does not exist")
    fails(run("embed", "-m", tiny_model, "x", "-o", "/proc/v.npy"), "cannot write /proc/v.npy")
    fails(run("embed", "-m", tiny_model, "x", "-o", tmp_path / "v.xlsx"), ".npy, .jsonl")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["embed", "--dim", "0", "x"], "--dim"),
        (["embed", "--threads", "0", "x"], "--threads"),
        (["embed", "--streams", "0", "x"], "--streams"),
        (["embed", "--precision", "int4", "x"], "--precision"),
        (["embed"], "give texts, or -i FILE"),
        (["embed", "x", "-i", "y.txt"], "not both"),
        (["similarity", "x"], "at least two texts"),
        (["nonsense"], "nonsense"),
    ],
)
def test_wrong_usage(run: Run, arguments: list[str], part: str) -> None:
    fails(run(*arguments), part, status=2)


def test_threads_and_streams(run: Run, tiny_model: Path) -> None:
    chosen = run("info", "-m", tiny_model, "--json", "--threads", 2, "--streams", 1)
    runtime = json.loads(chosen.stdout)["runtime"]
    assert (runtime["NUM_STREAMS"], runtime["INFERENCE_NUM_THREADS"]) == ("1", "2")
    assert runtime["processors"] == "2 threads, as asked for"
    assert runtime["streams"] == "as asked for"
    many = run("embed", "-m", tiny_model, "--threads", 2, "--streams", 9, "x")
    fails(many, "with 2 threads it can be at most 2")


def test_dim_beyond_the_model(run: Run, tiny_model: Path) -> None:
    fails(run("embed", "-m", tiny_model, "--dim", "33", "x"), "from 1 to 32")


def test_debug_shows_the_traceback(run: Run) -> None:
    done = run("embed", "-m", "no-such-model", "x", "--debug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing(
    tiny_model: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    output = tmp_path / "v.npy"
    process = subprocess.Popen(
        [sys.executable, "-m", "edge_embed", "embed", "-m", tiny_model, "-i", "-", "-o", output],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=listen_to_interrupts,
    )
    assert process.stdin is not None
    process.stdin.write("".join(f"line {i}\n" for i in range(9000)))
    process.stdin.flush()  # more than a chunk: the output is open, and the program waits for more
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(sent)
    out, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert out == ""
    assert error.strip() == "edge-embed: interrupted; no output was written"
    assert list(tmp_path.iterdir()) == []


def test_a_closed_pipe_is_no_error_message(tiny_model: Path, tmp_path: Path) -> None:
    texts = tmp_path / "many.txt"
    texts.write_text("".join(f"{digits(i)}\n" for i in range(3000)))
    command = f"{sys.executable} -m edge_embed embed -m {tiny_model} -i {texts} | head -c 10"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert len(done.stdout) == 10


@pytest.mark.parametrize("ending", ["npy", "jsonl"])
def test_memory_does_not_grow_with_the_file(tiny_model: Path, tmp_path: Path, ending: str) -> None:
    def peak(lines: int) -> int:
        texts, output = tmp_path / f"{lines}.txt", tmp_path / f"vectors.{ending}"
        with texts.open("w") as file:
            # Few distinct lines: what could grow here is reading and writing.
            file.writelines(f"line number {i % 100} of a long file\n" for i in range(lines))
        command = [sys.executable, "-c", PROGRAM, "embed", "-m", str(tiny_model), "-i", str(texts)]
        done = subprocess.run(
            [*command, "-o", str(output)], capture_output=True, text=True, check=True
        )
        assert output.stat().st_size > lines * 32 * 4
        return peak_of(done.stderr)

    small, large = peak(20_000), peak(200_000)
    assert large - small < 20, (small, large)
