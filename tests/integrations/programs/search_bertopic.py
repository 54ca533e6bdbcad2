"""Group notes with BERTopic, and find those that are nearest to a question."""

from pathlib import Path

import numpy as np
from bertopic import BERTopic
from bertopic.backend import FastEmbedBackend
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

TOP = 3


def lines(name):
    return Path(name).read_text(encoding="utf-8").splitlines()


def main():
    notes, questions = lines("notes.txt"), lines("questions.txt")
    clusters = KMeans(n_clusters=4, n_init=3, random_state=0)
    model = BERTopic(
        embedding_model=FastEmbedBackend(), umap_model=PCA(n_components=5), hdbscan_model=clusters
    )
    topics, _ = model.fit_transform(notes)
    assert len(set(topics)) == 4
    corpus = model.embedding_model.embed_documents(notes)
    for question in questions:
        assert set(model.find_topics(question, top_n=2)[0]) <= set(topics)
        scores = corpus @ model.embedding_model.embed_words([question])[0]
        print(question, *(notes[number] for number in np.argsort(-scores)[:TOP]), sep="\t")


if __name__ == "__main__":
    main()
