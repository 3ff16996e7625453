"""The demo's application: rewrite the question for the search, find passages, answer from them, cite one."""

import re

import afere

rewrite = afere.prompt("prompts/rewrite.md")
answer = afere.prompt("prompts/answer.md")


@afere.chain
def qa(question: str) -> dict:
    query = rewrite(question=question).strip()
    return respond(question, query or question)


@afere.chain
def direct(question: str) -> dict:
    return respond(question, question)


def respond(question: str, query: str) -> dict:
    """Answer from the two best passages of three; the citation is computed, because so small a model cannot choose one."""
    passages = afere.search("handbook", query, k=3)
    text = answer(question=question, passages=[passage.text[:300] for passage in passages[:2]]).strip()
    cited = max(passages, key=lambda passage: overlap(text, question, passage.text), default=None)
    return {"answer": text, "source": cited.id if cited else None, "query": query}


def overlap(text: str, question: str, passage: str) -> int:
    """How many words of the answer, beyond those of the question, stand in the passage."""
    return len((words(text) - words(question)) & words(passage))


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def holds(document: dict, row: afere.Row) -> bool:
    """Whether a found document is the passage that the question was written for: it holds the row's anchor."""
    flat = " ".join(str(document["text"]).split())
    return " ".join(row.metadata["anchor"].split()) in flat


@afere.scorer
def found(trace, row) -> bool:
    """recall@3: the right passage is among the three that the search found."""
    return any(holds(document, row) for document in trace.of_kind("retrieval")[0].documents[:3])


@afere.scorer
def top(trace, row) -> bool:
    """The right passage is the first hit: what citing blindly would give."""
    return any(holds(document, row) for document in trace.of_kind("retrieval")[0].documents[:1])


@afere.scorer
def cites(output, trace, row) -> bool:
    """The cited passage is the right one."""
    return any(
        holds(document, row)
        for document in trace.of_kind("retrieval")[0].documents
        if document["id"] == output["source"]
    )


@afere.scorer
def fact(output, expected) -> bool:
    """The answer contains one of the known wordings of the fact."""
    wordings = expected if isinstance(expected, list) else [expected]
    return any(wording.lower() in output["answer"].lower() for wording in wordings)
