"""The stand-in in fresh processes: a program with the import built in runs without torch."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from sentence_transformers import SentenceTransformer, util
from sentence_transformers.util import cos_sim

model = SentenceTransformer(sys.argv[1], device="cpu", trust_remote_code=True, truncate_dim=64)
texts = ["Reset my password", "Opening hours"]
corpus = model.encode(texts, convert_to_numpy=True, show_progress_bar=False, batch_size=8)
query = model.encode_query("I forgot my login")
assert corpus.shape == (2, 64)
assert int(cos_sim(query, corpus).argmax()) == 0
assert util.semantic_search(query, corpus, top_k=1)[0][0]["corpus_id"] == 0
assert "torch" not in sys.modules
print("done")
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_program_with_the_import_built_in(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    module = "edge_embed.compat.sentence_transformers"
    done = run("-m", module, str(program), "edge-embed-tiny")
    assert done.stdout == "done\n", done.stderr


def test_names_that_a_program_has_built_in(tmp_path: Path) -> None:
    code = """
import importlib.util, sys
from edge_embed.compat import sentence_transformers as stand_in
assert "sentence_transformers" not in sys.modules
stand_in.install(models={"all-MiniLM-L6-v2": "edge-embed-tiny"})
stand_in.install()
import sentence_transformers
assert importlib.util.find_spec("sentence_transformers").name == "sentence_transformers"
model = sentence_transformers.SentenceTransformer("all-MiniLM-L6-v2")
print(model.config.folder.name, "sentence_transformers" in str(type(model)))
for options in ({"modules": []}, {"device": "cuda"}, {"prompts": {"a": "b"}}):
    try:
        sentence_transformers.SentenceTransformer("all-MiniLM-L6-v2", **options)
    except ValueError as error:
        print(str(error).split()[0])
try:
    from sentence_transformers import CrossEncoder
except ImportError as error:
    print(error)
stand_in.uninstall()
assert "sentence_transformers" not in sys.modules
"""
    done = run("-c", code)
    lines = done.stdout.splitlines()
    assert lines[:4] == [
        "edge-embed-tiny True",
        "modules=",
        "device='cuda':",
        "prompts={'a':",
    ], done.stderr
    assert "has no CrossEncoder: this program needs the real one" in lines[4]


def test_never_where_the_real_one_is_loaded() -> None:
    code = """
import sys, types
sys.modules["sentence_transformers"] = types.ModuleType("sentence_transformers")
from edge_embed.compat.sentence_transformers import install
install()
"""
    done = run("-c", code)
    assert done.returncode == 1
    assert "the real sentence_transformers is imported already" in done.stderr
