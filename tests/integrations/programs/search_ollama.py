"""Search in notes with Ollama's client."""

from pathlib import Path

import numpy as np
import ollama

MODEL = "nomic-embed-text"
TOP = 3


def lines(name):
    return Path(name).read_text(encoding="utf-8").splitlines()


def embedded(client, texts):
    answer = client.embed(model=MODEL, input=texts)
    assert answer.prompt_eval_count > 0
    vectors = np.array(answer.embeddings)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def main():
    client = ollama.Client(host="http://127.0.0.1:11434")
    client.pull(MODEL)
    notes, questions = lines("notes.txt"), lines("questions.txt")
    scores = embedded(client, questions) @ embedded(client, notes).T
    for question, row in zip(questions, scores, strict=True):
        best = np.argsort(-row)[:TOP]
        print(question, *(notes[number] for number in best), sep="\t")


if __name__ == "__main__":
    main()
