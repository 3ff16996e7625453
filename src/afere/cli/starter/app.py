"""A first chain: find passages, answer from them. Everything below is plain Python; what it calls is traced."""

import afere

answer = afere.prompt("prompts/answer.md")


@afere.chain
def qa(question: str) -> str:
    passages = afere.search("handbook", question, k=3)
    return answer(question=question, passages=passages)
