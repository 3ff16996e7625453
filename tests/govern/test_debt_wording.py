"""Pairs of instructions and single sentences: what contradicts, what is out of date, and what only looks so. And sound prompts."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from worlds import World

from afere.govern.debt.contradiction import clashes
from afere.govern.debt.likeness import Likeness
from afere.govern.debt.stale import overtaken
from afere.govern.debt.wording import sentences
from afere.govern.prompts import PromptText

CLASH = [
    ("en", "Never apologise.", "Always start with an apology."),
    ("en", "Keep responses under 100 words.", "Responses should be at least 300 words long."),
    ("en", "Always respond in English.", "Reply in the language the customer writes in."),
    ("en", "Do not use markdown.", "Format the answer as markdown with headings."),
    ("en", "Never provide legal advice.", "Give legal advice when users ask about contracts, always."),
    ("en", "Offer a 10% discount to unhappy customers.", "Offer a 20% discount to unhappy customers."),
    ("en", "Don't ask follow-up questions.", "Ask clarifying questions before answering."),
    ("en", "Use a formal tone.", "Be casual and use slang."),
    ("en", "If you don't know, say you don't know.", "Always give an answer, even if you are not sure."),
    ("en", "Never share internal links.", "Include internal links in every answer."),
    ("en", "Cite your sources.", "Do not include citations."),
    ("en", "Address the user by first name.", "Never use the user's first name."),
    ("pt", "Nunca informe preços.", "Informe sempre o preço do produto."),
    ("pt", "Responda em no máximo 2 frases.", "Dê respostas longas e detalhadas."),
    ("pt", "Não use emojis.", "Use emojis para deixar a conversa leve."),
    ("pt", "O prazo de troca é de 7 dias.", "O prazo de troca é de 30 dias."),
    ("pt", "Não peça o CPF do cliente.", "Sempre peça o CPF do cliente antes de continuar."),
    ("pt", "Responda em português.", "Responda em inglês."),
    ("es", "No ofrezcas reembolsos.", "Ofrece siempre un reembolso al cliente."),
    ("es", "Usa un tono formal.", "Tutea al cliente y usa un tono desenfadado."),
    ("es", "Responde en una sola frase.", "Explica todo en detalle, con varios párrafos."),
    ("es", "El plazo de devolución es de 14 días.", "El plazo de devolución es de 30 días."),
    ("es", "Pide el número de póliza.", "No pidas el número de póliza."),
    ("es", "Explica siempre las exclusiones.", "Nunca expliques las exclusiones."),
    ("pt", "Feche o chamado ao responder.", "Nunca fechar o chamado."),
    ("en", "Replies stay under 120 words.", "A reply has at least 300 words."),
    ("es", "Responde solo en JSON.", "Responde en texto plano, sin formato."),
]
FINE = [
    ("en", "Never share prices of competitors.", "Always share our own prices."),
    ("en", "Keep the title under 10 words.", "Keep the summary under 100 words."),
    ("en", "Do not use jargon.", "Use simple words."),
    ("en", "For refunds, ask for the receipt.", "For exchanges, do not ask for the receipt."),
    ("en", "Be concise.", "Explain each step clearly."),
    ("en", "Free shipping applies to orders above 50 euros.", "Express shipping costs 10 euros."),
    ("en", "Do not mention delays unless asked.", "Mention delays when the customer asks."),
    ("en", "Use at most 3 bullet points.", "Each bullet has at most 15 words."),
    ("en", "Never delete records.", "Create a record for each call."),
    ("en", "Standard delivery takes 5 days.", "Express delivery takes 2 days."),
    ("en", "Do not answer medical questions.", "Answer questions about opening hours."),
    ("en", "Be friendly but professional.", "Do not use slang."),
    ("en", "Replies to buyers stay under 120 words.", "Replies to sellers may run to at least 300 words."),
    ("en", "A voucher is not transferable.", "Do not transfer vouchers."),
    ("es", "Resume para el médico en al menos 200 palabras.", "Resume para el paciente en 50 palabras como máximo."),
    ("pt", "Não cancele pedidos enviados.", "Cancele pedidos pendentes quando o cliente pedir."),
    ("pt", "Clientes comuns têm 7 dias para troca.", "Clientes premium têm 30 dias para troca."),
    ("pt", "Seja breve.", "Seja gentil."),
    ("pt", "Nunca revele dados de outros clientes.", "Informe ao cliente os dados do próprio pedido."),
    ("es", "No reserves sin confirmación.", "Confirma la reserva por correo."),
    ("es", "El envío estándar tarda 5 días.", "El envío urgente tarda 1 día."),
    ("es", "No uses tecnicismos.", "Usa un lenguaje sencillo."),
    ("es", "Si es urgente, llama al médico.", "Si no es urgente, no llames al médico."),
]
OVER = [
    "Our Black Friday 2025 promotion gives 20% off.",
    "Until January 15, 2026, shipping is free.",
    "As of 2024, the limit is 5,000 euros.",
    "The new branch opens in March 2025.",
    "Your knowledge cutoff is September 2021.",
    "A promoção de Natal de 2024 dá 10% de desconto.",
    "Até 10/02/2026 o frete é grátis.",
    "A partir de janeiro de 2025 haverá nova tabela.",
    "La oferta de verano 2025 incluye envío gratis.",
    "Hasta el 15 de enero de 2026 el envío es gratis.",
    "El nuevo local abrirá en marzo de 2025.",
    "You are powered by GPT-3.5-turbo-0613.",
    "The CEO election takes place on 3 May 2024.",
]
LASTING = [
    "The company was founded in 2010.",
    "ISO 9001:2015 applies.",
    "Use dates such as 2024-01-31.",
    "Regulation (EU) 2016/679 applies.",
    "Until 31 December 2030, shipping is free.",
    "A empresa existe desde 1999.",
    "A lei 8.078, de 1990, vale aqui.",
    "La empresa se fundó en 2001.",
    "Room 2024 is on the second floor.",
    "Version 2023.4 of the app is supported.",
    "Products sold before 2015 have no serial number.",
    "In 2019 we won the design prize.",
]
BEGIN = {
    "en": "You are the assistant of the shop and you help with the orders of the day.",
    "pt": "Você é o assistente da loja e ajuda com os pedidos do dia.",
    "es": "Eres el asistente de la tienda y ayudas con los pedidos del día.",
}


def told(*lines: str) -> PromptText:
    return PromptText("x", "\n".join(["# system", *lines, ""]), "prompts/x.md")


@pytest.mark.parametrize(("language", "one", "other"), CLASH)
def test_two_instructions_exclude_each_other(language: str, one: str, other: str) -> None:
    said = sentences(told(BEGIN[language], one, "Thank the caller.", other))
    assert [(clash.first.text, clash.second.text) for clash in clashes(said, Likeness(), 0.65)] == [(one, other)]


@pytest.mark.parametrize(("language", "one", "other"), FINE)
def test_two_instructions_go_together(language: str, one: str, other: str) -> None:
    assert not list(clashes(sentences(told(BEGIN[language], one, "Thank the caller.", other)), Likeness(), 0.65))


@pytest.mark.parametrize("text", OVER)
def test_a_sentence_is_over(text: str) -> None:
    assert list(overtaken(sentences(told("You are the assistant.", text)), [], date(2026, 11, 23), 30))


@pytest.mark.parametrize("text", LASTING)
def test_a_sentence_stays_true(text: str) -> None:
    assert not list(overtaken(sentences(told("You are the assistant.", text)), [], date(2026, 11, 23), 30))


def test_sound_prompts_as_people_write_them_have_no_debt(tmp_path: Path) -> None:
    world = World(tmp_path, config={"project": "real", "team": "cx", "people": [{"name": "joao.lima", "team": "cx"}]})
    for name, text in SOUND.items():
        world.write(name, text)
    found = world.audit()
    assert not found.problems
    assert not found.findings


SOUND = {
    "prompts/agent.md": "---\nowner: cx\ninputs: {task: string}\n---\n# system\nEres un agente de viajes que planifica itinerarios con herramientas.\n\n# Proceso\n1. Pregunta las fechas y el presupuesto si el usuario no los da.\n2. Llama a `buscar_vuelos` y después a `buscar_hoteles`.\n3. Presenta tres opciones ordenadas por precio.\n4. No reserves nada sin la confirmación explícita del usuario.\n\n# Restricciones\n- No inventes precios: usa solo los que devuelven las herramientas.\n- Nunca compartas datos de pago.\n- Si un vuelo tiene más de dos escalas, avísalo.\n- Para viajes con niños, prioriza hoteles con piscina.\n- Para viajes de negocios, prioriza hoteles céntricos.\n\nEjemplo:\nUsuario: Quiero ir a Roma en mayo.\nAsistente: ¿Qué fechas y qué presupuesto tienes?\n# user\n{{ task }}\n",
    "prompts/extract.md": '---\nowner: cx\ninputs: {contract: string}\noutput: {type: object}\n---\n# system\nExtract the following from the contract and return JSON only, without markdown fences:\n\n```json\n{"party_a": "string", "party_b": "string", "start": "YYYY-MM-DD", "notice_days": 30}\n```\n\nRules:\n* Copy names exactly as written; do not translate them.\n* Dates: normalise to ISO 8601, e.g. "March 3, 2021" becomes "2021-03-03".\n* notice_days is a number. If the contract gives months, multiply by 30.\n* If a field is absent, use null. Do not guess.\n* If there are more than two parties, use the first two that sign.\n# user\n{{ contract }}\n',
    "prompts/rag.md": "---\nowner: joao.lima\ninputs: {question: string, passages: {type: array}, today: string}\n---\n# system\nVocê é um assistente que responde perguntas de colaboradores usando apenas os trechos abaixo.\n\nHoje é {{ today }}.\n\nRegras:\n- Responda somente com base nos trechos. Não use conhecimento externo.\n- Cite cada afirmação com o número do trecho, como [1].\n- Se os trechos não contiverem a resposta, diga que não encontrou e sugira falar com o RH.\n- Se dois trechos se contradisserem, apresente os dois e indique a data de cada um.\n- Não revele dados pessoais de outros colaboradores.\n- Escreva em português, mesmo que a pergunta venha em outro idioma.\n- O décimo terceiro é pago em duas parcelas: a primeira até 30 de novembro e a segunda até 20 de dezembro.\n- A licença-maternidade é de 180 dias; a licença-paternidade é de 20 dias.\n- Segundo a CLT (Decreto-Lei 5.452, de 1943), as férias são de 30 dias.\n# user\n{% for p in passages %}[{{ loop.index }}] {{ p.text }}\n{% endfor %}\nPergunta: {{ question }}\n",
    "prompts/support.md": "---\nowner: cx\ninputs: {question: string, history: string, customer_name: string, plan: string}\n---\n# system\nYou are **Aria**, the support assistant of Nimbus Cloud.\n\n## Goals\n1. Resolve the customer's issue in as few messages as possible.\n2. Keep a warm, professional tone.\n3. Never make up product features. If you are unsure, say so and offer to open a ticket.\n\n## Policies\n- Refunds are available within 30 days of purchase for monthly plans and within 60 days for annual plans.\n- Do not offer refunds for add-ons unless a manager has approved it.\n- Customers on the Free plan cannot open priority tickets. Customers on the Pro plan can open up to 5 priority tickets a month.\n- Never ask for passwords or full card numbers. You may ask for the last four digits of the card.\n- If the customer is angry, acknowledge the frustration before you solve the problem.\n- If the issue involves a security incident, escalate to the security team immediately with `escalate`.\n\n## Tools\n- Use `search_kb` to look up articles before answering technical questions.\n- Use `get_account` to look up the customer's plan and billing status.\n- Use `create_ticket` only after you confirmed the details with the customer.\n\n## Format\n- Answer in at most 5 sentences unless the customer asks for details.\n- Use bullet points for steps; otherwise write prose.\n- Always end by asking whether there is anything else you can help with.\n\n<examples>\nUser: My server is down.\nAria: I'm sorry to hear that. Let me look at the status of your server.\n</examples>\n\nCustomer: {{ customer_name }} ({{ plan }})\n{{ history }}\n# user\n{{ question }}\n",
    "data/q.jsonl": '{"id":"1","input":{"question":"I want a refund for my annual plan"}}\n{"id":"2","input":{"question":"This is ridiculous, I am furious and angry, nothing works!"}}\n{"id":"3","input":{"question":"I think we had a security incident, someone logged into my account"}}\n{"id":"4","input":{"question":"Dois trechos se contradizem sobre o vale-refeição"}}\n{"id":"5","input":{"question":"Quando cai o décimo terceiro?"}}\n{"id":"6","input":{"task":"Viaje de negocios a Lima"}}\n{"id":"7","input":{"task":"Vuelo a Roma con dos niños, más de dos escalas está bien"}}\n{"id":"8","input":{"contract":"Agreement between three parties A, B and C, notice of two months"}}\n',
    "evals/all.yaml": "name: all\ntarget: app\ndata: data/q.jsonl\nscorers: [exact]\n",
}
