"""Search in notes with Haystack."""

from pathlib import Path

from haystack import Document, Pipeline
from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore

TOP = 3


def lines(name):
    return Path(name).read_text(encoding="utf-8").splitlines()


def main():
    store = InMemoryDocumentStore(embedding_similarity_function="cosine")
    indexing = Pipeline()
    indexing.add_component("embedder", OpenAIDocumentEmbedder())
    indexing.add_component("writer", DocumentWriter(store))
    indexing.connect("embedder", "writer")
    indexing.run({"embedder": {"documents": [Document(content=n) for n in lines("notes.txt")]}})
    asking = Pipeline()
    asking.add_component("embedder", OpenAITextEmbedder())
    asking.add_component("retriever", InMemoryEmbeddingRetriever(store, top_k=TOP))
    asking.connect("embedder.embedding", "retriever.query_embedding")
    for question in lines("questions.txt"):
        found = asking.run({"embedder": {"text": question}})["retriever"]["documents"]
        print(question, *(document.content for document in found), sep="\t")


if __name__ == "__main__":
    main()
