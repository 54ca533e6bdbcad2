"""List the benchmarks, or run them one after the other: one table of scripts, arguments and needs.

    python -m benchmarks.run_all                            # what there is, and what each needs
    python -m benchmarks.run_all --run --data DATA --texts FILE --results DIR
    python -m benchmarks.run_all --run start_up int8_peak --texts FILE --results DIR

DIR gets the JSON of each benchmark, and NAME.log with what it printed. One whose JSON is there is
left out, so that a run that was interrupted goes on where it was; ``--again`` runs it all the same.
One whose needs were not given is named with what is missing. The exit status is 1 if one failed.
"""

import argparse
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

NEEDS: Mapping[str, str] = {
    "model": "a model folder or the name of a model that ships; has a default",
    "texts": "a file of texts, one a line",
    "data": "a folder of evaluation data: stsb/, scifact/, banking77/, walmart-amazon/, …",
    "source": "the checkpoint that the model was made of, in the layout of sentence-transformers",
    "peers": "what benchmarks.peers.prepare made of model and source",
    "defaults": "what benchmarks.peers.prepare_defaults made of an ALBERT",
    "clients": "the Python of an environment with gptcache, pymilvus.model and transformers 4",
    "wordnet": "the database files of WordNet (Debian's wordnet-base)",
    "dev": "the folder of the pair model's development sets",
    "teacher": "the teacher of a distilled model, a model folder",
}


@dataclass(frozen=True)
class Benchmark:
    """A benchmark: its name, which its result has too, and its command after ``python -m``."""

    name: str
    command: str
    minutes: float
    """About how long it takes on two cores."""
    after: str = ""
    """The benchmark whose output it reads."""

    def needs(self) -> list[str]:
        """Return the names of :data:`NEEDS` that its command has."""
        return [name for name in NEEDS if f"{{{name}}}" in self.command]


_SPEED = "-m {model} -i {texts} --json {out}"
_PEERS = "--peers {peers} -m {model} -i {texts} --json {out}"
_PLANTED = "{results}/near_duplicates.jsonl"

BENCHMARKS = [
    Benchmark("start_up", "benchmarks.speed.start_up -m {model} --json {out}", 1),
    Benchmark("install_size", "benchmarks.speed.install_size --json {out}", 3),
    Benchmark("int8_peak", f"benchmarks.speed.int8_peak {_SPEED}", 2),
    Benchmark("inference_precision", f"benchmarks.speed.inference_precision {_SPEED}", 4),
    Benchmark("scaling", f"benchmarks.speed.scaling {_SPEED}", 3),
    Benchmark("packed_rows", "benchmarks.speed.packed_rows -i {texts} --json {out}", 10),
    Benchmark("bench", "edge_embed bench -m {model} -i {texts} --json {out}", 3),
    Benchmark("conversion", "benchmarks.speed.conversion {source} --json {out}", 6),
    Benchmark("doctor", "edge_embed doctor -m {model} --json", 1),
    *(
        Benchmark(f"side_by_side_{part}", f"benchmarks.peers.side_by_side {part} {_PEERS}", 8)
        for part in ("bulk", "single", "groups", "memory")
    ),
    Benchmark(
        "default_embedders",
        "benchmarks.peers.default_embedders {defaults} -i {texts} --python {clients} --json {out}",
        12,
    ),
    Benchmark("server_load", "benchmarks.server.load -m {model} --json {out}", 4),
    Benchmark("server_soak", "benchmarks.server.load -m {model} --soak 600 --json {out}", 11),
    Benchmark(
        "speed_quality_size",
        "benchmarks.quality.speed_quality_size -m {model} --sts {data}/stsb/dev.tsv -o {out}",
        2,
    ),
    Benchmark(
        "projections",
        "benchmarks.quality.projections -m {model} --fit {texts} --data {data} -o {out}",
        10,
    ),
    Benchmark(
        "distilled_quality",
        "benchmarks.quality.distilled_quality --data {data} --teacher {teacher} "
        "--student {model} -o {out}",
        30,
    ),
    Benchmark(
        "published_figures",
        "benchmarks.quality.published_figures {data}/stsb -m {model} --source {source} -o {out}",
        5,
    ),
    Benchmark(
        "pair_model",
        "benchmarks.quality.pair_model --dev {dev} -m edge-embed-pairs --encoder edge-embed-small "
        "-o {out}",
        10,
    ),
    Benchmark("model_families", "benchmarks.quality.model_families -o {out}", 30),
    Benchmark("receipts", "benchmarks.quantization.receipts -m {model} -o {out}", 1),
    Benchmark(
        "quantization",
        "benchmarks.quantization.study -m {model} --data {data} -o {out} --work {results}/work",
        60,
    ),
    Benchmark(
        "word_table",
        "benchmarks.quantization.word_table -i {texts} --model {source} --sts {data}/stsb/dev.tsv "
        "--rank 240 --json {out}",
        4,
    ),
    Benchmark("without_vnni", "benchmarks.quantization.without_vnni -m {model} --json {out}", 2),
    Benchmark(
        "near_duplicates",
        f"benchmarks.tasks.near_duplicates {{texts}} {_PLANTED} --wordnet {{wordnet}}",
        1,
    ),
    Benchmark(
        "deduplication",
        f"benchmarks.tasks.deduplication {_PLANTED} -m {{model}} --vectors {{results}}/planted.npy "
        "--json {out}",
        4,
        after="near_duplicates",
    ),
    Benchmark(
        "neighbour_libraries",
        "benchmarks.tasks.neighbour_libraries {results}/planted.npy --rows 15000 --json {out}",
        3,
        after="deduplication",
    ),
    Benchmark(
        "cascade",
        f"benchmarks.tasks.cascade {_PLANTED} -m {{model}} --json {{out}}",
        5,
        after="near_duplicates",
    ),
    Benchmark(
        "large_deduplication",
        "benchmarks.tasks.large_deduplication {texts} -m {model} --json {out}",
        25,
    ),
    Benchmark(
        "look_alikes",
        "benchmarks.tasks.look_alikes {texts} --wordnet {wordnet} --json {out}",
        15,
    ),
    Benchmark(
        "record_linkage",
        "benchmarks.tasks.record_linkage {data}/walmart-amazon -m {model} --json {out}",
        2,
    ),
    Benchmark(
        "pair_classification",
        "benchmarks.tasks.pair_classification {data}/parade/test.tsv -m {model} --json {out}",
        2,
    ),
    Benchmark("intents", "benchmarks.tasks.intents {data}/banking77 -m {model} --json {out}", 2),
    Benchmark(
        "index_search",
        "benchmarks.tasks.index_search {texts} -m {model} --retrieval {data}/scifact --json {out}",
        6,
    ),
    Benchmark(
        "index_growth",
        "benchmarks.tasks.index_growth {texts} -m {model} --cache {results} --json {out} "
        "--plot {results}/index_growth.png",
        90,
    ),
    Benchmark(
        "index_engines",
        "benchmarks.tasks.index_engines {texts} -m {model} --cache {results} --json {out}",
        15,
    ),
    Benchmark("index_after_writes", "benchmarks.tasks.index_after_writes --json {out}", 1),
    Benchmark(
        "fusion",
        "benchmarks.tasks.fusion -m {model} --dev {data}/cisi --test {data}/scifact --json {out}",
        5,
    ),
]

NOT_RUN = {
    "naive_server": "a server to compare with: see benchmarks/README.md",
    "prepare": "makes the folder for --peers",
    "prepare_onnx": "makes the folder for --peers",
    "prepare_defaults": "makes the folder for --defaults",
    "worker": "started by side_by_side and default_embedders",
    "recipes": "read by study",
    "table": "a table of a result",
    "load_plot": "a picture of several results",
    "growth": "a picture of several results",
    "run_all": "this",
}
"""Scripts that are no benchmarks, and why."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [benchmark.name for benchmark in BENCHMARKS]
    parser.add_argument("--run", nargs="*", metavar="NAME", help="These, or all of them.")
    parser.add_argument("--results", type=Path, metavar="DIR")
    parser.add_argument("--again", action="store_true", help="Even if the JSON is there.")
    for name, what in NEEDS.items():
        parser.add_argument(f"--{name}", help=what)
    parser.set_defaults(model="edge-embed-small")
    options = parser.parse_args()
    if options.run is None:
        print("\n".join(listed()))
        return
    if unknown := sorted(set(options.run) - set(names)):
        parser.error(f"no benchmark {', '.join(unknown)}: choose of {', '.join(names)}")
    if options.results is None:
        parser.error("--results is needed: where the JSON goes")
    options.results.mkdir(parents=True, exist_ok=True)
    given = {name: getattr(options, name) for name in NEEDS if getattr(options, name) is not None}
    failed = []
    for benchmark in BENCHMARKS:
        if options.run and benchmark.name not in options.run:
            continue
        said = run(benchmark, given, options.results, again=options.again)
        print(f"{benchmark.name:<22} {said}", flush=True)
        if said.startswith("failed"):
            failed.append(benchmark.name)
    sys.exit(1 if failed else 0)


def listed() -> Iterator[str]:
    """Yield the lines of the list of benchmarks."""
    yield f"{'name':<22} {'minutes':>7}  needs"
    for benchmark in BENCHMARKS:
        needs = benchmark.needs() + ([f"after {benchmark.after}"] if benchmark.after else [])
        yield f"{benchmark.name:<22} {benchmark.minutes:>7g}  {', '.join(needs) or 'nothing'}"
    yield ""
    for name, what in NEEDS.items():
        yield f"--{name:<10} {what}"


def run(
    benchmark: Benchmark, given: Mapping[str, str], results: Path, *, again: bool = False
) -> str:
    """Run a benchmark unless its result is there; return what became of it."""
    out = results / f"{benchmark.name}.json"
    made = results / f"{benchmark.name}.jsonl" if benchmark.name == "near_duplicates" else out
    if made.is_file() and not again:
        return "there already"
    if missing := [name for name in benchmark.needs() if name not in given]:
        return f"left out: give {', '.join(f'--{name}' for name in missing)}"
    if benchmark.after and not any(results.glob(f"{benchmark.after}.json*")):
        return f"left out: {benchmark.after} has to be run before"
    places = {**given, "results": str(results), "out": str(out)}
    filled = re.sub(r"\{(\w+)\}", lambda m: shlex.quote(places[m[1]]), benchmark.command)
    command = [sys.executable, "-m", *shlex.split(filled)]
    log = results / f"{benchmark.name}.log"
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        return f"failed: see {log}"
    if "{out}" not in benchmark.command and made == out:
        out.write_text(log.read_text(encoding="utf-8"), encoding="utf-8")
    return "done"


if __name__ == "__main__":
    main()
