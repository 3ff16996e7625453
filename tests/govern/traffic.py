"""Worlds with debt in their traces, tools, feedback and people. `edition` chooses the words: one to develop with, one held out."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from worlds import DAY, NOW, Tool, World, add_tools, at, fill, judged, properties, requests

from afere.base.clock import rfc3339
from afere.base.score import Score
from afere.base.span import Span

# (name, description, parameters, requests) of sound tools, and of planted ones, by edition and language
SOUND: dict[str, list[Tool]] = {
    "dev-en": [
        Tool("find_order", "Looks up one order by its number and returns status and parcels; use it when a customer asks where an order is.", properties(order="string"), asks=("Where is order 4411?", "Has my order 99 shipped?")),
        Tool("create_return", "Opens a return for an order and gives a label; use it only after the customer named a reason.", properties(order="string", reason="string"), asks=("I want to send the chair back", "Return my broken lamp please")),
        Tool("cancel_return", "Cancels an open return of an order; use it when the customer changed their mind.", properties(order="string"), asks=("Stop my return, I keep the chair", "Cancel the return I opened")),
        Tool("stock_level", "Tells how many pieces of a product are in the warehouse now, by its article code.", properties(article="string", warehouse="string"), asks=("Is the oak bench in stock?", "How many parasols are left?")),
    ],
    "dev-pt": [
        Tool("buscar_pedido", "Consulta um pedido pelo número e devolve situação e rastreio; use quando perguntarem onde está a compra.", properties(pedido="string"), asks=("Onde está meu pedido 4411?", "Meu pedido já saiu?")),
        Tool("abrir_devolucao", "Abre a devolução de um pedido e gera a etiqueta; use só depois de saber o motivo.", properties(pedido="string", motivo="string"), asks=("Quero devolver a cadeira", "Preciso devolver a luminária quebrada")),
        Tool("segunda_via", "Envia a segunda via do boleto de uma fatura em aberto ao e-mail do titular.", properties(fatura="string"), asks=("Perdi o boleto, manda outro", "Segunda via da fatura de maio")),
        Tool("previsao_tempo", "Informa a previsão do tempo de uma cidade para os próximos cinco dias.", properties(cidade="string", dia="string"), asks=("Vai chover em Recife amanhã?", "Como fica o tempo no fim de semana?")),
    ],
    "held-en": [
        Tool("meter_reading", "Returns the last meter reading of a household by meter id; call it before any question about consumption.", properties(meter_id="string"), asks=("What did my meter show last month?", "How much power did we use in May?")),
        Tool("book_technician", "Books a technician visit for a given address and time window after the caller agreed.", properties(address="string", window="string"), asks=("Send somebody to fix the fuse box", "I need a technician on Friday")),
        Tool("outage_map", "Gives the areas without electricity at this moment and the expected time of repair.", properties(region="string"), asks=("Is there a blackout in Leeds?", "When will the power be back in our street?")),
        Tool("tariff_lookup", "Reads the price per kilowatt hour of a tariff for a start date.", properties(tariff="string", start="string"), asks=("What does the green tariff cost?", "Price per kWh of the night tariff?")),
    ],
    "held-es": [
        Tool("ver_reserva", "Devuelve los datos de una reserva por su localizador; úsala cuando pregunten por fechas o habitación.", properties(localizador="string"), asks=("¿Qué fechas tiene mi reserva?", "¿Qué habitación me toca?")),
        Tool("pedir_taxi", "Solicita un taxi a la recepción para una hora y un destino concretos.", properties(hora="string", destino="string"), asks=("Necesito un taxi a las ocho", "Un taxi al aeropuerto, por favor")),
        Tool("menu_del_dia", "Indica los platos del restaurante para hoy, con alérgenos y precios.", properties(fecha="string"), asks=("¿Qué hay hoy de comer?", "¿El menú tiene gluten?")),
        Tool("abrir_incidencia", "Registra una avería de la habitación para mantenimiento, con su descripción.", properties(habitacion="string", averia="string"), asks=("La ducha no tiene agua caliente", "Se ha roto la lámpara de mi cuarto")),
    ],
}  # fmt: skip
TWINS = {
    "dev-en": (
        Tool(
            "get_shipment_status",
            "Looks up an order by its number and returns the status and the parcels of it.",
            properties(order="string"),
        ),
        "find_order",
    ),
    "dev-pt": (
        Tool(
            "consulta_compra",
            "Consulta a compra pelo número do pedido e devolve situação e rastreio.",
            properties(pedido="string"),
        ),
        "buscar_pedido",
    ),
    "held-en": (
        Tool(
            "fetch_last_reading",
            "Fetches the most recent meter reading for a household, given the meter id.",
            properties(meter_id="string"),
        ),
        "meter_reading",
    ),
    "held-es": (
        Tool(
            "consultar_reserva",
            "Consulta una reserva por su localizador y devuelve sus datos y fechas.",
            properties(localizador="string"),
        ),
        "ver_reserva",
    ),
}
POOR = {
    "dev-en": (("sync", "Sync."), ("get_profile_v2", "get profile v2")), "dev-pt": (("rodar", ""), ("dados_cliente", "Dados do cliente")),
    "held-en": (("exec_job", "Executes job"), ("helper", "")), "held-es": (("proceso", "Proceso interno"), ("obtener_datos", "Obtener datos")),
}  # fmt: skip
EDITIONS = {"dev": ("dev-en", "dev-pt"), "held": ("held-en", "held-es")}


def clean(root: Path, key: str) -> World:
    """Sound tools, full traces, feedback, two reviewers, an approved and seen release."""
    world, tools = World(root), SOUND[key]
    add_tools(world, tools)
    spans = requests(tools)
    release(world, ago=20)
    fill(world, spans, judged(spans))
    return world


def release(world: World, *, ago: float, approved: str | None = "person:carla.souza", seen: bool = True) -> None:
    """`desk@production`: put by bruno, approved and seen by carla."""
    with world.session() as session:
        with at(NOW - int((ago + 1) * DAY)):
            put = session.put("component", "desk", {"prompt": "v1"})
        scores = []
        if approved:
            scores.append(Score(put.ref, "approval", True, approved, at=rfc3339(NOW - int((ago + 0.5) * DAY))))
        if seen:
            scores.append(Score(put.ref, "seen", True, "person:carla.souza", at=rfc3339(NOW - int((ago - 1) * DAY))))
        session.append(*scores)
        with at(NOW - int(ago * DAY)):
            session.alias("component:desk@production", put.ref, why="release")


def tool_debt(root: Path, key: str) -> World:
    """Every rule of tools.* but the ambiguous, each once or twice, beside sound ones."""
    world, sound = World(root), list(SOUND[key])
    twin, original = TWINS[key]
    first = sound[0]
    poor = [Tool(name, words, properties(x="string"), asks=first.asks[:1]) for name, words in POOR[key]]
    extra = [
        replace(sound[1], name="legacy_" + sound[1].name, description="Reads the archive of paper letters by shelf mark for the records office.", parameters=properties(shelf="string"), asks=()),
        replace(sound[1], name="fresh_" + sound[1].name, description="Converts an amount between two currencies at the rate of a given day.", parameters=properties(amount="number", currency="string"), asks=(), added="2026-11-15"),
    ]  # fmt: skip
    sound[1] = replace(sound[1], fails=0.3)
    sound[2] = replace(sound[2], seconds=9.0, owner="ana.reis")
    sound[3] = replace(sound[3], permissions=("read", "delete"), uses=("read",), owner=None)
    twin = replace(twin, asks=SOUND[key][0].asks)
    tools = [*sound, twin, *poor, *extra]
    add_tools(world, tools)
    spans = requests(tools, count=400)
    release(world, ago=20)
    fill(world, spans, judged(spans))
    world.plant("tools.overlap", f"{original}, {twin.name}")
    world.plant("tools.ambiguous", f"{min(original, twin.name)}, {max(original, twin.name)}")
    for one in poor:
        world.plant("tools.undescribed", one.name)
        # what has no description is called for the first tool's requests, so the same intent is split with it as well
        world.plant(
            "tools.ambiguous",
            *(
                f"{min(a, b)}, {max(a, b)}"
                for a in (one.name,)
                for b in (original, twin.name, *(p.name for p in poor))
                if a != b
            ),
            must=False,
        )
    world.plant("tools.unused", extra[0].name)
    world.plant("tools.failing", sound[1].name)
    world.plant("tools.slow", sound[2].name)
    world.plant("tools.unowned", sound[2].name)
    world.plant("tools.unowned", sound[3].name)
    world.plant("tools.wide-permission", sound[3].name)
    return world


def crowd(root: Path, key: str) -> World:
    """An agent with too many tools."""
    world = World(root)
    nouns = [
        "aquifer",
        "bakery",
        "cello",
        "drone",
        "easel",
        "falcon",
        "glacier",
        "harbour",
        "ivory",
        "jukebox",
        "kiln",
        "lagoon",
        "mosaic",
        "nebula",
        "orchard",
        "pulley",
        "quarry",
        "rocket",
        "saddle",
        "turbine",
        "umbrella",
        "violin",
        "walnut",
    ]
    many = [
        Tool(
            f"{noun}_{n}",
            f"Tells the {noun} inspector the {noun} count of site {n} in the {noun} register.",
            properties(**{noun: "string"}),
            asks=(f"Count the {noun} please",),
        )
        for n, noun in enumerate(nouns)
    ]
    add_tools(world, [*SOUND[key], *many], agent="crowded")
    spans = requests([*SOUND[key], *many], count=400, agent="crowded")
    release(world, ago=20)
    fill(world, spans, judged(spans))
    world.plant("tools.too-many", "crowded")
    return world


def opaque(root: Path, key: str) -> World:
    """Every rule of pipeline.* once, in span names of its own."""
    world, tools = World(root), SOUND[key]
    add_tools(world, tools)
    spans = requests(tools)
    drawn = random.Random(7)
    for n in range(30):
        start = NOW - (n + 2) * DAY
        spans += _chain(drawn, start, "gappy", inner=0.2, whole=3.0)
        spans += _chain(drawn, start + 10**10, "quiet_chain", silent=True)
        spans += _chain(drawn, start + 2 * 10**10, "anonymous", version=False, call="call_nobody_knows")
        spans += _chain(drawn, start + 3 * 10**10, "house_model", model="in-house-7b", cost=None)
        spans += _chain(drawn, start + 4 * 10**10, "torn_worker", parent="00000000000000ab")
    release(world, ago=20)
    fill(world, spans, judged(spans))
    world.plant("pipeline.untraced-time", "gappy")
    world.plant("pipeline.empty-span", "quiet_chain")
    world.plant("pipeline.missing-version", "call_nobody_knows")
    world.plant("pipeline.unpriced", "in-house-7b")
    world.plant("pipeline.broken-context", "torn_worker")
    return world


def _chain(
    drawn: random.Random, start: int, name: str, *, inner: float = 1.0, whole: float = 1.1, silent: bool = False,
    version: bool = True, model: str = "gpt-4.1-mini", cost: float | None = 0.0003, parent: str | None = None, call: str = "chat",
) -> list[Span]:  # fmt: skip
    trace, root = f"{drawn.getrandbits(128):032x}", f"{drawn.getrandbits(64):016x}"
    said: dict = {} if silent else {"input": "What is the state of my order?", "output": "On its way."}
    named = {"gen_ai.prompt.name": "orders", "gen_ai.prompt.version": "1"} if version else {}
    return [
        Span(trace, root, name, start, parent_id=parent, kind="chain", end=start + int(whole * 1e9), **said),
        Span(
            trace, f"{drawn.getrandbits(64):016x}", call, start + 10**7, parent_id=root, kind="llm", end=start + 10**7 + int(inner * 1e9),
            model=model, input="q", output="a", input_tokens=100, output_tokens=20, cost=cost, attributes=named,
        ),
    ]  # fmt: skip


def deaf(root: Path, key: str) -> World:
    """No feedback of anyone, no review, a release by its author alone, seen by nobody; a judge on its own; a waiting question."""
    world, tools = World(root), SOUND[key]
    add_tools(world, tools)
    spans = requests(tools)
    roots = [span for span in spans if span.parent_id is None]
    release(world, ago=20, approved=None, seen=False)
    scores = [
        Score(one.trace_id, "faithful", 1.0, "judge:faithful@1", at=rfc3339(one.start + 10**10)) for one in roots[-60:]
    ]
    scores += [
        Score(
            roots[-40].trace_id,
            "question",
            "Who signs off refunds?",
            "person:carla.souza",
            at=rfc3339(NOW - 12 * DAY),
            data={"to": "legal"},
        )
    ]
    scores += [Score(roots[-1].trace_id, "question", "Fresh one", "person:carla.souza", at=rfc3339(NOW - DAY))]
    fill(world, spans, scores)
    world.plant("feedback.low-coverage", "shop")
    world.plant("feedback.uncalibrated-judge", "judge:faithful")
    world.plant("people.no-review", "shop")
    world.plant("people.no-approval", "component:desk@production", "desk@production")
    world.plant("people.unseen-release", "component:desk@production", "desk@production")
    world.plant("people.unanswered-question", roots[-40].trace_id)
    return world


def idle(root: Path, key: str) -> World:
    """Feedback that stopped, complaints that wait, labels nobody uses, one reviewer; evaluations beside what is asked."""
    world, tools = World(root), SOUND[key]
    add_tools(world, tools)
    spans = requests(tools)
    roots = [span for span in spans if span.parent_id is None]
    scores: list[Score] = []
    for n, one in enumerate(roots[:120:3]):
        stamp = rfc3339(one.start + DAY // 8)
        scores.append(Score(one.trace_id, "helpful", n % 5 != 0, f"user:{n}", at=stamp))
    for one in roots[2:122:3]:
        scores.append(Score(one.trace_id, "tone", "good", "person:bruno.costa", at=rfc3339(one.start + DAY // 8)))
    release(world, ago=20)
    fill(world, spans, scores)
    first, second = tools[0].asks, tools[1].asks
    rows = "\n".join(
        f'{{"id": "e-{n}", "input": {{"question": "{text}"}}}}' for n, text in enumerate((*first, *second))
    )
    world.write("data/desk.jsonl", rows + "\n")
    world.write("evals/desk.yaml", "name: desk\ntarget: desk\ndata: data/desk.jsonl\nscorers: [exact]\n")
    world.plant("feedback.stale", "shop")
    world.plant("feedback.unanswered", "shop")
    world.plant("feedback.unused-labels", "helpful")
    world.plant("feedback.unused-labels", "tone")
    world.plant("people.single-reviewer", "person:bruno.costa")
    world.plant("people.no-review", "shop")
    world.plant("feedback.narrow-evals", *(f"topic: {text}" for text in tools[3].asks))
    for tool in tools[2:]:
        for text in tool.asks:  # each wording may be a topic of its own
            world.plant("feedback.narrow-evals", f"topic: {text}", must=False)
    return world


WORLDS: tuple[Callable[[Path, str], World], ...] = (clean, tool_debt, crowd, opaque, deaf, idle)
