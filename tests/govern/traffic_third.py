"""Traces and tools of a third hand: near twins in three languages, tools that broke lately, choices that waver, tools that only
traces show. Written before the rules saw them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

from traffic import release
from worlds import DAY, NOW, Tool, World, add_tools, fill, judged, one_request, properties, requests

from afere.base.clock import rfc3339
from afere.base.score import Score
from afere.base.span import Span

_ASK = "Please help me with my trip to Lisbon"
# (tool, its twin) and tools that are only neighbours
_TWINS = (
    (Tool("search_flights", "Searches for flights between two airports on a given date.", properties(origin="string", destination="string", date="string")),
     Tool("flight_finder", "Finds available flights from an origin to a destination for a travel day.", properties(origin="string", destination="string", day="string"))),
    (Tool("send_email", "Sends an e-mail with subject and body to a customer.", properties(customer="string", subject="string", body="string")),
     Tool("mail_customer", "Delivers a message to the customer by e-mail, with a subject line.", properties(customer_id="string", subject="string", text="string"))),
    (Tool("consultar_cep", "Retorna o endereço completo a partir de um CEP.", properties(cep="string")),
     Tool("buscar_endereco", "Busca rua, bairro e cidade do endereço pelo CEP informado.", properties(cep="string"))),
    (Tool("convertir_moneda", "Convierte un importe de una moneda a otra con el cambio del día.", properties(importe="number", de="string", a="string")),
     Tool("calcular_cambio", "Calcula el cambio de un importe entre dos monedas según la cotización de hoy.", properties(importe="number", origen="string", destino="string"))),
    (Tool("check_weather", "Gets the weather forecast for a city.", properties(city="string")),
     Tool("weather_lookup", "Looks up the forecast of the weather in a given city.", properties(city="string"))),
)  # fmt: skip
_NEIGHBOURS = (
    Tool("search_hotels", "Searches for hotels in a city between two dates.", properties(city="string", start="string", end="string")),
    Tool("send_sms", "Sends a short text message to the phone of a customer.", properties(customer="string", text="string")),
    Tool("open_ticket", "Opens a support ticket with a title and a description of the problem.", properties(title="string", description="string")),
    Tool("close_ticket", "Closes a support ticket by its number once the customer confirms.", properties(number="string")),
    Tool("list_invoices", "Lists the numbers and dates of all invoices of a customer.", properties(customer="string")),
    Tool("pay_invoice", "Charges the stored card of a customer for one invoice.", properties(invoice="string", card="string")),
    Tool("validar_cpf", "Valida os dígitos verificadores de um CPF antes do cadastro.", properties(cpf="string")),
    Tool("historial_cambios", "Muestra quién editó una ficha de cliente y cuándo.", properties(ficha="string")),
)  # fmt: skip


def twins(root: Path) -> World:
    """Five pairs for one purpose each, beside tools that only work in the same field."""
    world = World(root)
    tools = [*(tool for pair in _TWINS for tool in pair), *_NEIGHBOURS]
    for tool in tools:
        tool.asks = (f"{_ASK}: {tool.description.lower()}",)
    add_tools(world, tools)
    spans = requests(tools, count=360)
    release(world, ago=20)
    fill(world, spans, judged(spans))
    for one, other in _TWINS:
        world.plant("tools.overlap", f"{one.name}, {other.name}")
    return world


_WAVERING = (
    ("Where can I read about the parental leave policy?", "Where do I find the policy on parental leave?", "Show me the parental leave policy", "What does the parental leave policy say?"),
    ("Qual o status do chamado 5512?", "Como está o meu chamado 5513?", "Status do chamado 5514, por favor", "Em que pé está o chamado 5520?"),
)  # fmt: skip
_STEADY = (
    "Reset the password of my account",
    "I forgot the password of my account",
    "My account password has to be reset",
)


def wavering(root: Path) -> World:
    """Requests that mean the same go to one tool or another; other alike requests always go to theirs."""
    world = World(root)
    tools = [
        Tool(
            "search_handbook", "Searches the articles of the staff handbook for a phrase.", properties(phrase="string")
        ),
        Tool("ask_intranet", "Asks the intranet's page index and returns links of pages.", properties(query="string")),
        Tool(
            "consultar_chamado",
            "Consulta a situação de um chamado pelo número na central de serviços.",
            properties(numero="string"),
        ),
        Tool(
            "linha_do_tempo",
            "Mostra todos os eventos de um incidente do mais novo ao mais velho.",
            properties(incidente="string"),
        ),
        Tool(
            "reset_password",
            "Starts a password reset and mails a link to the account's owner.",
            properties(account="string"),
        ),
        Tool(
            "unlock_account",
            "Unlocks an account that was locked after five wrong attempts.",
            properties(account="string"),
        ),
    ]
    add_tools(world, tools)
    drawn = random.Random(11)
    spans: list[Span] = []
    for number in range(240):
        start = NOW - int((50 - 50 * number / 240) * DAY)
        kind = number % 4
        if kind < 2:
            asked = drawn.choice(_WAVERING[kind])
            tool = tools[2 * kind + (drawn.random() < 0.4)]
        elif kind == 2:
            asked, tool = drawn.choice(_STEADY), tools[4]
        else:
            asked, tool = f"My account was locked after wrong attempts, case {number}", tools[5]
        spans += one_request(drawn, start, asked, tool)
    release(world, ago=20)
    fill(world, spans, judged(spans))
    world.plant("tools.ambiguous", "ask_intranet, search_handbook")
    world.plant("tools.ambiguous", "consultar_chamado, linha_do_tempo")
    return world


def broken(root: Path) -> World:
    """Tools that fail always a little too much, or only since last week, or seldom; that are slow by time or by share."""
    world, drawn = World(root), random.Random(3)
    named = {
        "geocode": "Turns a postal address into coordinates for the route planner.",
        "parse_pdf": "Extracts the text of an uploaded PDF, page by page.",
        "credit_score": "Fetches the credit score of an applicant from the bureau.",
        "route": "Plans the fastest route between two depots for a lorry.",
        "render_chart": "Draws a chart of a table and returns a picture.",
        "warehouse_sql": "Runs a read-only query on the sales warehouse.",
        "spellcheck": "Corrects the spelling of a short paragraph.",
    }
    tools = {
        name: Tool(name, text, properties(x="string"), asks=(f"{text} Do it for case A", f"{text} Again for B"))
        for name, text in named.items()
    }
    tools["render_chart"].seconds, tools["warehouse_sql"].seconds, tools["route"].seconds = 7.5, 2.4, 4.0
    add_tools(world, list(tools.values()))
    spans: list[Span] = []
    for number in range(420):
        start = NOW - int((60 - 60 * number / 420) * DAY)
        name = list(tools)[number % 7]
        tool = tools[name]
        tool.fails = {
            "geocode": 0.3, "parse_pdf": 1.0 if number > 330 else 0.0, "credit_score": 0.05, "spellcheck": 0.5 if number < 20 else 0.0,
        }.get(name, 0.0)  # fmt: skip
        made = one_request(drawn, start, drawn.choice(tool.asks), tool)
        spans += made
        if name == "route":  # 4 s of a request that takes 20: its model is what makes people wait
            made[0].end = start + 20 * 10**9
            made[1].end = start + 15 * 10**9
    release(world, ago=20)
    fill(world, spans, judged(spans))
    world.plant("tools.failing", "geocode")
    world.plant("tools.failing", "parse_pdf")
    world.plant("tools.slow", "render_chart")
    world.plant("tools.slow", "warehouse_sql")
    return world


def only_traces(root: Path) -> World:
    """An agent of another program: its tools stand in its model calls only, with nobody's afere.yaml."""
    world, drawn = World(root), random.Random(5)
    world.config = {"project": "shop"}
    offered = [
        {"type": "function", "name": "lookup_policy", "description": "Looks up the insurance policy of a customer by its number.", "parameters": properties(number="string")},
        {"type": "function", "name": "get_policy", "description": "Gets a customer's insurance policy by the policy number.", "parameters": properties(number="string")},
        {"type": "function", "name": "file_claim", "description": "Files a claim for damage with a date and a description of what happened.", "parameters": properties(date="string", what="string")},
        {"type": "function", "name": "do_stuff", "description": "does stuff", "parameters": {}},
        {"type": "function", "name": "fax_letter", "description": "Faxes a signed letter to the branch office of the customer's region.", "parameters": properties(region="string", text="string")},
    ]  # fmt: skip
    spans: list[Span] = []
    for number in range(200):
        start = NOW - int((50 - 50 * number / 200) * DAY)
        name = ("file_claim", "lookup_policy", "get_policy", "do_stuff")[number % 4]
        asked = f"{name.replace('_', ' ')} for customer number {number}, with everything that belongs to {name}"
        made = one_request(drawn, start, asked, Tool(name, ""))
        made[1].attributes["gen_ai.tool.definitions"] = json.dumps(offered)
        spans += made
    fill(world, spans, judged(spans))
    world.plant("tools.overlap", "get_policy, lookup_policy", "lookup_policy, get_policy")
    world.plant("tools.undescribed", "do_stuff")
    world.plant("tools.unused", "fax_letter")
    for one in offered:
        world.plant("tools.unowned", one["name"], must=False)
    return world


def committee(root: Path) -> World:
    """Releases of three kinds, reviews of which one person wrote nearly all, answered and unanswered questions."""
    world = World(root)
    tools = [Tool("loan_terms", "Reads the terms of a loan by its contract number.", properties(contract="string"), asks=("What are my loan terms?", "How long does my loan run?"))]  # fmt: skip
    add_tools(world, tools)
    spans = requests(tools, count=260)
    roots = [span for span in spans if span.parent_id is None]
    release(world, ago=20, approved=None, seen=True)
    scores = [
        Score(
            one.trace_id,
            "review",
            "good",
            "person:bruno.costa" if n else "person:carla.souza",
            at=rfc3339(one.start + DAY // 9),
        )
        for n, one in enumerate(roots[-20:])
    ]
    scores += [
        Score(one.trace_id, "helpful", True, f"user:{n}", at=rfc3339(one.start + DAY // 8))
        for n, one in enumerate(roots[::20])
    ]
    asked = Score(
        roots[5].trace_id, "question", "May we quote interest rates?", "person:carla.souza", at=rfc3339(NOW - 30 * DAY)
    )
    waits = Score(
        roots[6].trace_id, "question", "Who checks the tone?", "person:carla.souza", at=rfc3339(NOW - 20 * DAY)
    )
    fill(world, spans, [*scores, asked, waits, Score(asked.id, "answer", "Yes, since May", "person:bruno.costa", at=rfc3339(NOW - 10 * DAY))])  # fmt: skip
    world.plant("people.no-approval", "component:desk@production", "desk@production")
    world.plant("people.single-reviewer", "person:bruno.costa")
    world.plant("people.unanswered-question", roots[6].trace_id)
    return world


WORLDS: tuple[Callable[[Path], World], ...] = (twins, wavering, broken, only_traces, committee)
