"""Search in notes with LlamaIndex."""

from pathlib import Path

from llama_index.core import Settings, VectorStoreIndex
from llama_index.core.schema import TextNode
from llama_index.embeddings.openai import OpenAIEmbedding

TOP = 3


def lines(name):
    return Path(name).read_text(encoding="utf-8").splitlines()


def main():
    Settings.embed_model = OpenAIEmbedding()
    nodes = [
        TextNode(text=note, metadata={"line": number}, excluded_embed_metadata_keys=["line"])
        for number, note in enumerate(lines("notes.txt"), 1)
    ]
    index = VectorStoreIndex(nodes)
    retriever = index.as_retriever(similarity_top_k=TOP)
    for question in lines("questions.txt"):
        found = retriever.retrieve(question)
        assert all(hit.metadata["line"] > 0 for hit in found)
        print(question, *(hit.text for hit in found), sep="\t")


if __name__ == "__main__":
    main()
