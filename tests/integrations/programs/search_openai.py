"""Search in notes with OpenAI's client."""

from pathlib import Path

import numpy as np
from openai import OpenAI

MODEL = "text-embedding-3-small"
TOP = 3


def lines(name):
    return Path(name).read_text(encoding="utf-8").splitlines()


def embedded(client, texts):
    answer = client.embeddings.create(model=MODEL, input=texts)
    assert answer.usage.total_tokens > 0
    vectors = np.array([item.embedding for item in answer.data])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def main():
    client = OpenAI(api_key="sk-1234")
    notes, questions = lines("notes.txt"), lines("questions.txt")
    scores = embedded(client, questions) @ embedded(client, notes).T
    for question, row in zip(questions, scores, strict=True):
        best = np.argsort(-row)[:TOP]
        print(question, *(notes[number] for number in best), sep="\t")


if __name__ == "__main__":
    main()
