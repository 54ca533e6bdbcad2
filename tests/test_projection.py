"""Projections: the algebra, the folder, the command, and what sentence-transformers makes of it."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from edge_embed.cli import main
from edge_embed.cli.info import describe
from edge_embed.embedder import Embedder
from edge_embed.errors import InputError, OutputError
from edge_embed.model.receipt import check_files, read_receipt
from edge_embed.projection import (
    FittedProjection,
    Projection,
    Sample,
    project_model,
    sample_vectors,
)
from edge_embed.vectors import unit_length


@pytest.fixture(scope="session")
def model(tiny_model: Path) -> Embedder:
    return Embedder(tiny_model, variant="fp32", cache=False)


@pytest.fixture(scope="session")
def sample(model: Embedder, corpus: list[str]) -> Sample:
    return sample_vectors(model, corpus, name="corpus")


def test_the_sample_is_of_all_texts_but_the_held_out(
    model: Embedder, corpus: list[str], sample: Sample
) -> None:
    vectors = unit_length(model.encode(corpus)).astype(np.float64)
    out = np.arange(len(corpus)) % 10 == 9
    np.testing.assert_allclose(sample.held_out, vectors[out], atol=1e-6)
    used = vectors[~out]
    np.testing.assert_allclose(sample.moment, used.T @ used / len(used), atol=1e-6)
    assert (sample.fitted, sample.texts.size) == (len(used), len(corpus))


@pytest.mark.parametrize("center", [False, True])
def test_components_are_those_of_scikit_learn(sample: Sample, center: bool) -> None:
    decomposition = pytest.importorskip("sklearn.decomposition", reason="needs scikit-learn")
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(500, 6)) * [5, 4, 3, 2, 1, 0.5] + 1).astype(np.float64)
    none = np.empty((0, 6), np.float32)
    data = Sample(vectors.T @ vectors / 500, vectors.mean(axis=0), 500, none, sample.texts)
    projection = Projection.fit(data, 3, center=center)
    if center:
        expected = decomposition.PCA(3).fit_transform(vectors)
    else:
        expected = decomposition.TruncatedSVD(3, algorithm="arpack").fit_transform(vectors)
    ours = projection.apply(vectors.astype(np.float32))
    np.testing.assert_allclose(np.abs(ours), np.abs(expected), rtol=1e-3, atol=1e-3)


def test_all_components_keep_everything(sample: Sample) -> None:
    (whole, half) = Projection.fit(sample, 32).kept(sample)
    assert (whole.dim, half.dim) == (32, 16)
    assert whole.share == pytest.approx(1, abs=1e-5)
    assert whole.spearman == pytest.approx(1, abs=1e-5)
    assert whole.neighbours > 0.99
    assert 0.5 < half.share < 1
    assert 0.5 < half.spearman < 1


def test_smaller_fits_are_truncations_of_larger_ones(sample: Sample) -> None:
    large, small = (Projection.fit(sample, dim, center=True) for dim in (20, 8))
    np.testing.assert_allclose(large.weight[:8], small.weight, atol=1e-6)


def test_whitened_components_have_one_spread(sample: Sample) -> None:
    projection = Projection.fit(sample, 8, center=True, whiten=True)
    weight = projection.weight.astype(np.float64)
    covariance = sample.moment - np.outer(sample.mean, sample.mean)
    np.testing.assert_allclose(weight @ covariance @ weight.T, np.eye(8), atol=1e-3)


@pytest.mark.parametrize("center", [False, True], ids=["plain", "centred"])
def test_a_projected_folder_embeds_in_both_libraries(
    tiny_model: Path, tiny_albert: Path, tmp_path: Path, sample: Sample, center: bool
) -> None:
    from sentence_transformers import SentenceTransformer

    projection = Projection.fit(sample, 8, center=center)
    texts = ["A small cat.", "The train to Leeds was cancelled because of snow.", "yes"]
    for source, normalized in ((tiny_model, True), (tiny_albert, False)):
        folder = tmp_path / source.name
        project_model(source, folder, FittedProjection(projection, sample, "fp32"))
        full = Embedder(source, variant="fp32", cache=False).encode(texts)
        ours = Embedder(folder, variant="fp32", cache=False)
        assert (ours.dim, ours.config.normalize) == (8, normalized)
        expected = projection.apply(unit_length(full) if center or normalized else full)
        expected = unit_length(expected) if normalized else expected
        np.testing.assert_allclose(ours.encode(texts), expected, atol=1e-5)
        theirs = SentenceTransformer(
            str(folder),
            backend="openvino",
            model_kwargs={
                "file_name": "openvino/openvino_model.xml",
                "ov_config": {"INFERENCE_PRECISION_HINT": "f32"},
            },
        )
        np.testing.assert_allclose(ours.encode(texts), theirs.encode(texts), atol=1e-5)


def test_the_command(tiny_model: Path, tmp_path: Path, corpus: list[str]) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(corpus), encoding="utf-8")
    folder = tmp_path / "small"
    arguments = ["project", str(tiny_model), "--dim", "16", "--fit", str(texts), "-o", str(folder)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "same nearest texts" in result.stdout
    receipt = read_receipt(folder)
    assert receipt is not None
    assert receipt.projection is not None
    assert (receipt.projection.from_dim, receipt.projection.dim) == (32, 16)
    assert check_files(folder, receipt) == []
    facts = describe(Embedder(folder, cache=False))
    assert "from 32 to 16 dimensions" in facts["receipt"]["projection"]
    refused = CliRunner().invoke(main, arguments)
    assert isinstance(refused.exception, OutputError)
    few = tmp_path / "few.txt"
    few.write_text("\n".join(corpus[:8]), encoding="utf-8")
    arguments[5], arguments[7] = str(few), str(tmp_path / "other")
    with pytest.warns(UserWarning, match="fitted on 8 texts"):
        result = CliRunner().invoke(main, arguments)
    assert isinstance(result.exception, InputError)
    assert "span 8 dimensions" in str(result.exception)
    assert not (tmp_path / "other").exists()


def test_a_projected_folder_is_verified_against_its_source(
    tiny_model: Path, tiny_bert_source: Path, tmp_path: Path, sample: Sample
) -> None:
    from edge_embed_conversion.verify import verify

    projection = Projection.fit(sample, 8)
    project_model(tiny_model, tmp_path / "small", FittedProjection(projection, sample, "fp32"))
    result = verify(tmp_path / "small", against=str(tiny_bert_source))
    failed = [check for check in result.checks if check.status == "failed"]
    assert [check.name for check in failed] in ([], ["int8"])  # random weights quantize badly


def test_what_cannot_be_projected(sample: Sample, tiny_model: Path) -> None:
    with pytest.raises(InputError, match="span 31 dimensions, fewer than 32"):
        Projection.fit(sample, 32, whiten=True)  # a last LayerNorm leaves 31
    with pytest.raises(InputError, match="choose from 1 to 32"):
        Projection.fit(sample, 33)
    fitted = FittedProjection(Projection.fit(sample, 4), sample, "fp32")
    with pytest.raises(InputError, match="holds the model itself"):
        project_model(tiny_model, tiny_model, fitted, force=True)
