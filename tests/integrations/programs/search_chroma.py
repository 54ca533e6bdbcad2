"""Search in notes with Chroma."""

from pathlib import Path

import chromadb
from chromadb.utils.embedding_functions import DefaultEmbeddingFunction

TOP = 3


def lines(name):
    return Path(name).read_text(encoding="utf-8").splitlines()


def main():
    client = chromadb.EphemeralClient()
    notes = client.get_or_create_collection(
        name="shop-notes", embedding_function=DefaultEmbeddingFunction()
    )
    texts = lines("notes.txt")
    notes.upsert(
        ids=[f"line-{number}" for number in range(len(texts))],
        documents=texts,
        metadatas=[{"line": number} for number in range(len(texts))],
    )
    assert notes.count() == len(texts)
    questions = lines("questions.txt")
    found = notes.query(query_texts=questions, n_results=TOP, include=["documents", "distances"])
    for question, documents in zip(questions, found["documents"], strict=True):
        print(question, *documents, sep="\t")


if __name__ == "__main__":
    main()
