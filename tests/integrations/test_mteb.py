"""The encoder for mteb, against mteb's own protocol and on a task of local data."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_embed.embedder import Embedder

mteb = pytest.importorskip("mteb", reason="needs mteb (the extra 'mteb')")


def test_it_is_an_encoder_of_mteb(tiny_model: Path) -> None:
    from mteb.models import EncoderProtocol

    from edge_embed.integrations.mteb import MtebEncoder

    encoder = MtebEncoder(str(tiny_model), variant="fp32", device="cpu")
    assert isinstance(encoder, EncoderProtocol)
    meta = encoder.mteb_model_meta
    assert meta.embed_dim == 32
    assert meta.name == "edge_embed/tiny-bert-fp32"
    batches = [{"text": ["A cat.", "A dog."]}, {"text": ["A car."]}]
    vectors = encoder.encode(batches)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(
        vectors, Embedder(tiny_model, variant="fp32").encode(["A cat.", "A dog.", "A car."])
    )
    cosines = encoder.similarity(vectors, vectors)
    np.testing.assert_allclose(np.diag(cosines), 1, atol=1e-5)
    np.testing.assert_allclose(encoder.similarity_pairwise(vectors, vectors), 1, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_a_local_task_gives_what_eval_gives(
    tiny_model: Path, corpus: list[str], tmp_path: Path
) -> None:
    from datasets import Dataset, DatasetDict
    from mteb.abstasks.sts import AbsTaskSTS

    from edge_embed.evaluation import Bootstrap, StsSet, compare, embedder_system
    from edge_embed.integrations.mteb import MtebEncoder

    rows = [(float(i % 6), corpus[i], corpus[i + 1 + i % 6]) for i in range(60)]
    columns = dict(zip(("score", "sentence1", "sentence2"), zip(*rows, strict=True), strict=True))

    class LocalSts(AbsTaskSTS):  # type: ignore[misc, unused-ignore]  # mteb may be missing
        metadata = mteb.TaskMetadata(
            name="LocalSts",
            dataset={"path": "local", "revision": "1"},
            description="Local pairs.",
            reference=None,
            type="STS",
            category="t2t",
            modalities=["text"],
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="cosine_spearman",
            date=None,
            domains=None,
            task_subtypes=None,
            license=None,
            annotations_creators=None,
            dialect=None,
            sample_creation=None,
            bibtex_citation=None,
        )
        min_score = 0
        max_score = 5

        def load_data(self, num_proc: int | None = None, **_: Any) -> None:
            self.dataset = DatasetDict({"test": Dataset.from_dict(columns)})
            self.data_loaded = True

    model = Embedder(tiny_model, variant="fp32", cache=False)
    found = mteb.evaluate(MtebEncoder(model), LocalSts(), cache=None)
    scores = json.loads(found.task_results[0].model_dump_json())["scores"]["test"][0]
    table = tmp_path / "sts.tsv"
    lines = ["score\tsentence1\tsentence2", *("\t".join(map(str, row)) for row in rows)]
    table.write_text("\n".join(lines), encoding="utf-8")
    (ours,) = compare(
        [StsSet.read(table)], [embedder_system(model)], bootstrap=Bootstrap(resamples=0)
    )
    assert scores["cosine_spearman"] == pytest.approx(ours.metrics["spearman"].value, abs=1e-6)
    assert scores["cosine_pearson"] == pytest.approx(ours.metrics["pearson"].value, abs=1e-6)
