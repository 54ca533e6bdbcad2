"""Search in notes with sentence-transformers."""

from pathlib import Path

from sentence_transformers import SentenceTransformer
from sentence_transformers.util import semantic_search

TOP = 3


def lines(name):
    return Path(name).read_text(encoding="utf-8").splitlines()


def main():
    model = SentenceTransformer("encoder", device="cpu")
    notes, questions = lines("notes.txt"), lines("questions.txt")
    corpus = model.encode(
        notes,
        batch_size=32,
        show_progress_bar=False,
        convert_to_numpy=True,
        normalize_embeddings=True,
    )
    asked = model.encode(questions, normalize_embeddings=True)
    assert corpus.shape == (len(notes), model.get_sentence_embedding_dimension())
    for question, hits in zip(questions, semantic_search(asked, corpus, top_k=TOP), strict=True):
        print(question, *(notes[hit["corpus_id"]] for hit in hits), sep="\t")


if __name__ == "__main__":
    main()
