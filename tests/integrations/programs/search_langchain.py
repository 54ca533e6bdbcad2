"""Search in notes with LangChain."""

from pathlib import Path

from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_openai import OpenAIEmbeddings

TOP = 3


def lines(name):
    return Path(name).read_text(encoding="utf-8").splitlines()


def main():
    embeddings = OpenAIEmbeddings()
    store = InMemoryVectorStore(embedding=embeddings)
    documents = [
        Document(page_content=note, metadata={"line": number})
        for number, note in enumerate(lines("notes.txt"), 1)
    ]
    store.add_documents(documents)
    retriever = store.as_retriever(search_kwargs={"k": TOP})
    for question in lines("questions.txt"):
        found = retriever.invoke(question)
        assert all(document.metadata["line"] > 0 for document in found)
        print(question, *(document.page_content for document in found), sep="\t")


if __name__ == "__main__":
    main()
