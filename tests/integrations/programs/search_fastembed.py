"""Search in notes with fastembed."""

from pathlib import Path

import numpy as np
from fastembed import TextEmbedding

TOP = 3


def lines(name):
    return Path(name).read_text(encoding="utf-8").splitlines()


def main():
    model = TextEmbedding("BAAI/bge-small-en-v1.5")
    notes, questions = lines("notes.txt"), lines("questions.txt")
    corpus = np.stack(list(model.passage_embed(notes)))
    asked = np.stack(list(model.query_embed(questions)))
    scores = asked @ corpus.T
    for question, row in zip(questions, scores, strict=True):
        best = np.argsort(-row)[:TOP]
        print(question, *(notes[number] for number in best), sep="\t")


if __name__ == "__main__":
    main()
