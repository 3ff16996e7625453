"""Worlds of a stranger, the half that was only counted: four desks with tools, two clean ones, six small services."""

from __future__ import annotations

from dataclasses import replace

from stranger_kit import Call, Tool, Way, World
from stranger_making import (
    SAYS,
    both,
    cases,
    grown,
    healthy,
    judged,
    long,
    pair,
    released,
    reviews,
    sent,
    small,
    thumbs,
)
from stranger_words import office


def airline() -> World:
    w = World("airline", 31, "en")
    way = Way("oi", "gate", "airline")
    flight = Tool(
        "flight_status",
        "Tells whether a flight is on time.",
        "flight day?",
        ["Is flight {n} on time?", "Will {n} leave late?"],
        calls=40,
    )
    seat = Tool(
        "assign_seat",
        "Gives a passenger a seat on a flight.",
        "booking seat",
        ["Put me at the window, booking {n}"],
        calls=24,
        permissions=("seats:write",),
    )
    release = Tool(
        "release_seat",
        "Takes a seat away from a passenger on a flight.",
        "booking seat",
        ["I do not need the extra seat of booking {n}"],
    )
    bags = Tool(
        "trace_baggage",
        "Follows a suitcase that did not arrive.",
        "tag",
        ["My suitcase {n} did not arrive"],
        calls=30,
        failures=12,
    )
    lost = Tool(
        "locate_luggage",
        "Tracks down a bag that went missing on the journey.",
        "label",
        ["A bag is missing, label {n}"],
        calls=2,
    )
    rebook = Tool("rebook_passenger", "Moves a passenger to another flight.", "booking flight")
    voucher = Tool("issue_voucher", "Gives a passenger credit for a later journey.", "booking amount:integer")
    meal = Tool("order_meal", "Meal order.", "booking", ["A meal without meat for booking {n}"])
    lounge = Tool(
        "lounge_access",
        "Checks if a traveller may enter the lounge.",
        "card",
        ["May I use the lounge with card {n}?"],
        owner=None,
    )
    visa = Tool(
        "visa_rules",
        "Says which papers a citizen needs for a country.",
        "country citizen",
        ["What papers do I need for {place}?"],
        calls=16,
        seconds=(5.5, 6.2, 12),
    )
    manifest = Tool(
        "read_manifest",
        "Reads the list of passengers of a flight.",
        "flight",
        ["Who is on flight {n}?"],
        calls=24,
        permissions=("manifests:read", "manifests:write"),
    )
    weather = Tool(
        "airport_weather",
        "Gives wind and sight at an airport.",
        "airport",
        ["How is the wind in {place}?"],
        calls=10,
        seconds=(9, 1, 0.8, 0.7),
    )
    pets = Tool(
        "pet_policy", "Explains which animals may travel.", "animal", ["May my dog fly?"], calls=1, days=(24, 26)
    )
    duty = Tool("duty_free", "Lists what is sold on board.", "flight")
    every = [flight, seat, release, bags, lost, rebook, voucher, meal, lounge, visa, manifest, weather, pets, duty]
    w.flow(way, [t for t in every if t not in (rebook, voucher, duty)], every)
    pair(
        w,
        way,
        ["My flight {n} was cancelled, what now?", "Flight {n} got cancelled, what can I do?"],
        rebook,
        voucher,
        (12, 10),
        every,
    )
    w.tools["duty_free"] = duty
    for rule, tool in {
        "unused": "duty_free",
        "overlap": "locate_luggage",
        "ambiguous": "rebook_passenger|issue_voucher",
        "failing": "trace_baggage",
        "slow": "visa_rules",
        "undescribed": "order_meal",
        "unowned": "lounge_access",
        "wide-permission": "read_manifest",
    }.items():
        w.plant(f"tools.{rule}", tool)
    w.flow(replace(way, agent="backoffice"), office("en", 23))
    w.plant("tools.too-many", "backoffice")
    w.flow(way, [replace(flight, calls=60, days=(34, 62))], every)
    released(w)
    thumbs(w, 12, (40, 60))
    reviews(w, 8, (36, 60))
    w.plant("feedback.stale")
    w.plant("people.no-review")
    long(w, "fares", 90)
    w.plant("prompt.too-long", "fares")
    long(w, "boarding", 45)
    grown(w, "delays", [9, 12, 15, 18])
    w.plant("prompt.growth", "delays")
    grown(w, "crew", [40, 42, 43, 45], how="end")
    w.plant("prompt.append-only", "crew")
    grown(w, "miles", [12, 18, 11, 19])
    return w


def energy() -> World:
    w = World("energia", 32, "pt")
    way = Way("vercel", "luz", "energia")
    leitura = Tool(
        "enviar_leitura",
        "Regista a leitura de um contador.",
        "contador valor:integer",
        ["O meu contador marca {n}", "Leitura de hoje: {n}"],
        calls=40,
        permissions=("readings:write",),
    )
    historico = Tool(
        "historico_leituras",
        "Mostra as leituras anteriores de um contador.",
        "contador",
        ["Que leituras tem o contador {n}?"],
        calls=25,
        permissions=("readings:read", "readings:delete"),
    )
    corte = Tool(
        "ver_cortes",
        "Diz onde falta a luz neste momento.",
        "morada",
        ["Falta a luz em {place}?", "Estamos às escuras em {place}"],
        calls=30,
    )
    falhas = Tool(
        "consultar_falhas_eletricas",
        "Indica as zonas que estão agora sem eletricidade.",
        "zona",
        ["Porque não há eletricidade em {place}?"],
        calls=2,
    )
    tarifa = Tool("mudar_tarifa", "Muda o contrato para outra tarifa.", "contrato tarifa")
    simular = Tool("simular_tarifa", "Compara quanto se pagaria noutra tarifa.", "contrato")
    debito = Tool(
        "ativar_debito",
        "Passa o pagamento para débito direto.",
        "contrato iban",
        ["Quero pagar o contrato {n} por débito direto"],
        calls=30,
        failures=2,
    )
    desligar = Tool(
        "desativar_debito",
        "Deixa de pagar por débito direto.",
        "contrato iban",
        ["Não quero mais débito direto no {n}"],
    )
    visita = Tool(
        "marcar_visita",
        "Marca a visita de um técnico.",
        "morada dia",
        ["Preciso de um técnico em {place} a {day}"],
        calls=24,
        failures=7,
    )
    painel = Tool(
        "estimar_paineis",
        "Estima o que produzem painéis num telhado.",
        "morada",
        ["Quanto rendem painéis em {place}?"],
        calls=12,
        seconds=(3.0, 3.2),
    )
    fatura = Tool("obter_fatura", "A ferramenta obter_fatura.", "fatura", ["Mande-me a fatura {n}"])
    titular = Tool(
        "mudar_titular",
        "Passa o contrato para outra pessoa.",
        "contrato pessoa",
        ["Passe o contrato {n} para {who}"],
        owner="maria.lopes",
    )
    social = Tool(
        "tarifa_social",
        "Verifica se uma família tem direito à tarifa social.",
        "contribuinte",
        ["Tenho direito a tarifa social, contribuinte {n}?"],
        calls=30,
        days=(33, 80),
    )
    gas = Tool(
        "fuga_gas",
        "Alerta o piquete para uma fuga de gás.",
        "morada",
        ["Cheira a gás em {place}"],
        calls=2,
        days=(5, 15),
        seconds=(0.4,),
    )
    every = [
        leitura,
        historico,
        corte,
        falhas,
        tarifa,
        simular,
        debito,
        desligar,
        visita,
        painel,
        fatura,
        titular,
        social,
        gas,
    ]
    w.flow(replace(way, llm=0.6), [painel], every)
    w.flow(way, [t for t in every if t not in (tarifa, simular, painel)], every)
    pair(
        w,
        way,
        [
            "Há tarifa mais barata para o contrato {n}?",
            "Existe uma tarifa mais barata para o contrato {n}?",
            "O contrato {n} pode ter tarifa mais barata?",
        ],
        tarifa,
        simular,
        (8, 16),
        every,
    )
    for rule, tool in {
        "unused": "tarifa_social",
        "overlap": "consultar_falhas_eletricas",
        "ambiguous": "mudar_tarifa|simular_tarifa",
        "failing": "marcar_visita",
        "slow": "estimar_paineis",
        "undescribed": "obter_fatura",
        "unowned": "mudar_titular",
        "wide-permission": "historico_leituras",
    }.items():
        w.plant(f"tools.{rule}", tool)
    half = office("pt", 24)
    w.flow(replace(way, agent="manha"), half[:12])
    w.flow(replace(way, agent="tarde"), half[12:])
    released(w, by="service:deploy", ok=None, seen=None, days=40)
    w.plant("people.no-approval", "answer")
    w.plant("people.unseen-release", "answer")
    w.plant("feedback.low-coverage")
    w.plant("people.no-review")
    long(w, "contratos", 72)
    w.plant("prompt.too-long", "contratos")
    sent(w, replace(way, agent="avarias"), [20, 22, 24, 26, 31], how="end")
    w.plant("prompt.growth", "avarias")
    w.plant("prompt.append-only", "avarias")
    grown(w, "leituras", [20, 23, 26], how="end")
    return w


def clinic() -> World:
    w = World("clinica", 33, "es")
    way = Way("genai", "recepcion", "clinica")
    cita = Tool(
        "pedir_cita",
        "Reserva una cita con un médico.",
        "paciente medico dia",
        ["Quiero cita con la doctora {who} el {day}", "Cita para el {day}, por favor"],
        calls=40,
        permissions=("appointments:write",),
    )
    anular = Tool(
        "anular_cita",
        "Anula una cita con un médico.",
        "paciente medico dia",
        ["No puedo ir el {day}, anulen la cita"],
        calls=20,
    )
    resultado = Tool(
        "ver_resultado",
        "Muestra el resultado de un análisis.",
        "analisis",
        ["¿Está el análisis {n}?"],
        calls=30,
        seconds=(5.6, 6.0),
    )
    receta = Tool(
        "renovar_receta", "Renueva una receta que caduca.", "receta", ["Renueven la receta {n}"], calls=24, failures=11
    )
    farmacia = Tool(
        "farmacia_guardia",
        "Dice qué farmacia está de guardia en un lugar.",
        "lugar",
        ["¿Qué farmacia abre esta noche en {place}?"],
        calls=20,
    )
    botica = Tool(
        "botica_nocturna",
        "Informa de la farmacia abierta por la noche en una localidad.",
        "localidad",
        ["¿Dónde compro medicinas de madrugada en {place}?"],
        calls=2,
    )
    triaje = Tool("triaje", "Decide la urgencia de unos síntomas.", "sintomas")
    llamar = Tool("llamada_enfermera", "Pide a una enfermera que llame al paciente.", "paciente motivo")
    seguro = Tool("cobertura_seguro", "Seguro: cobertura", "poliza", ["¿Cubre mi póliza {n} la consulta?"])
    historia = Tool(
        "leer_historia",
        "Lee la historia clínica de un paciente.",
        "paciente",
        ["¿Qué alergias tiene el paciente {n}?"],
        calls=26,
        permissions=("history:read", "history:write"),
        owner="gone.smith",
    )
    vacuna = Tool(
        "anotar_vacuna",
        "Anota en la cartilla una vacuna puesta.",
        "paciente vacuna",
        ["Me he vacunado hoy, paciente {n}"],
        calls=28,
        permissions=("history:write",),
        failures=2,
    )
    parking = Tool("plaza_parking", "Reserva una plaza en el aparcamiento de la clínica.", "matricula")
    every = [cita, anular, resultado, receta, farmacia, botica, triaje, llamar, seguro, historia, vacuna, parking]
    w.flow(way, [t for t in every if t not in (triaje, llamar, parking)], every)
    # two intents in similar words, each with its own tool
    w.flow(
        way,
        [
            replace(triaje, ask=("Me duele el pecho, ¿es grave?", "Me duele la cabeza, ¿es grave?"), calls=14),
            replace(
                llamar, ask=("Que me llame una enfermera hoy", "¿Puede llamarme una enfermera el {day}?"), calls=14
            ),
        ],
        every,
    )
    w.tools["plaza_parking"] = parking
    for rule, tool in {
        "unused": "plaza_parking",
        "overlap": "botica_nocturna",
        "failing": "renovar_receta",
        "slow": "ver_resultado",
        "undescribed": "cobertura_seguro",
        "unowned": "leer_historia",
        "wide-permission": "leer_historia",
    }.items():
        w.plant(f"tools.{rule}", tool)
    crowd = office("es", 23, calls=2)
    for i in range(46):  # never the same, never all of them: 22 at a time
        tool = crowd[i % 23]
        given = [t for t in crowd if t is not crowd[(i + 9) % 23]]
        w.request(
            w.r.uniform(1, 28),
            replace(way, agent="personal"),
            w.fill(tool.ask[0]),
            w.fill(SAYS["es"]),
            given,
            [Call(tool.name, w._arguments(tool))],
        )
        w.tools[tool.name] = tool
    w.plant("tools.too-many", "personal")
    released(w)
    thumbs(w, 10, (2, 50))
    reviews(w, 15, (1, 13), by=("tom.hale",) * 14 + ("rui.matos",))
    w.plant("people.single-reviewer")
    bad = thumbs(w, 1, (10, 20), value="down")[0]
    w.plant("feedback.unanswered", bad)
    long(w, "alergias", 110)
    w.plant("prompt.too-long", "alergias")
    grown(w, "consentimiento", [10, 13, 16, 16, 19])
    w.plant("prompt.growth", "consentimiento")
    grown(w, "horarios", [26, 28, 30, 33], how="between")
    w.plant("prompt.append-only", "horarios")
    grown(w, "urgencias", [30, 31, 33, 30, 34])
    return w


def haulage() -> World:
    w = World("haulage", 34, "en")
    way = Way("tl", "dispatcher", "haulage")
    route = Tool(
        "plan_route",
        "Plans the way of a lorry between two towns.",
        "origin destination",
        ["Plan the way from {place} to {place}", "Best road to {place} for lorry {n}?"],
        calls=40,
    )
    toll = Tool(
        "toll_cost",
        "Adds up the tolls on a route.",
        "route",
        ["What tolls are on route {n}?"],
        calls=20,
        seconds=(4.1, 4.3),
    )
    fuel = Tool(
        "fuel_prices",
        "Finds cheap diesel near a town.",
        "town",
        ["Where is diesel cheap near {place}?"],
        calls=24,
        seconds=(1.6, 1.7),
    )
    rest = Tool(
        "driver_hours",
        "Counts the hours that a driver may still drive.",
        "driver",
        ["How long may {who} still drive?"],
        calls=24,
    )
    remaining = Tool(
        "remaining_drive_time",
        "Counts how many hours a driver may still be at the wheel.",
        "driver",
        ["Hours left at the wheel for {who}, please"],
        calls=2,
    )
    load = Tool(
        "book_load",
        "Accepts a freight offer for a lorry.",
        "offer lorry",
        ["Take offer {n}"],
        calls=24,
        failures=10,
        permissions=("loads:write",),
    )
    offer = Tool(
        "find_load",
        "Searches freight offers from a town.",
        "town",
        ["Any freight from {place}?"],
        calls=20,
        owner="planning",
    )
    repair = Tool("report_defect", "Tells the garage about a defect of a lorry.", "lorry text")
    tow = Tool("call_tow", "Sends a tow truck to a lorry.", "lorry place")
    customs = Tool("customs_papers", "TODO", "shipment", ["Papers for shipment {n}?"])
    temp = Tool(
        "set_temperature",
        "Sets the temperature of a refrigerated trailer.",
        "trailer degrees:integer",
        ["Trailer {n} should be colder"],
        calls=22,
        permissions=("trailers:write",),
    )
    gps = Tool(
        "lorry_position",
        "Shows where a lorry is.",
        "lorry",
        ["Where is lorry {n}?"],
        calls=25,
        permissions=("fleet:admin",),
    )
    washer = Tool("book_washing", "Books a washing bay for a lorry.", "lorry day")
    every = [route, toll, fuel, rest, remaining, load, offer, repair, tow, customs, temp, gps, washer]
    w.flow(replace(way, llm=9.0), [toll], every)
    w.flow(replace(way, llm=0.4), [fuel], every)
    w.flow(way, [t for t in every if t not in (toll, fuel, repair, tow, washer)], every)
    both(w, way, ["Lorry {n} broke down near {place}", "Lorry {n} does not start near {place}"], repair, tow, 24, every)
    fresh = Tool("warehouse_doors", "Tells which door of a warehouse is free.", "warehouse")
    w.flow(way, [replace(route, calls=30, days=(0.2, 2))], [*every, fresh])  # new since two days
    w.tools |= {"book_washing": washer, "warehouse_doors": fresh, "plan_route": route}
    for rule, tool in {
        "unused": "book_washing",
        "overlap": "remaining_drive_time",
        "failing": "book_load",
        "slow": "fuel_prices",
        "undescribed": "customs_papers",
        "unowned": "find_load",
        "wide-permission": "lorry_position",
    }.items():
        w.plant(f"tools.{rule}", tool)
    crowd = office("en", 24)
    for i in range(48):  # 12 of them at a time, chosen for the question
        tool = crowd[i % 24]
        given = [crowd[(i + j) % 24] for j in range(12)]
        w.request(
            w.r.uniform(1, 28),
            replace(way, agent="clerk"),
            w.fill(tool.ask[0]),
            w.fill(SAYS["en"]),
            given,
            [Call(tool.name, w._arguments(tool))],
        )
        w.tools[tool.name] = tool
    released(w, by="person:ines.vega", ok=None, days=33)
    w.plant("people.no-approval", "answer")
    healthy(w)
    reviews(w, 21, (15, 40), name="complete")
    w.plant("feedback.unused-labels", "complete")
    bad = thumbs(w, 1, (8, 9), value=1, name="rating")[0]
    w.plant("feedback.unanswered", bad)
    people = reviews(w, 12, (2, 13), name="friendly", by=("tom.hale", "rui.matos"))
    judged(w, [*people, *[t for _, t in w.traces[:70] if t not in people]], "friendly")
    w.plant("feedback.uncalibrated-judge", "friendly")
    long(w, "roads", 50)
    long(w, "customs", 66)
    w.plant("prompt.too-long", "customs")
    grown(w, "night", [12, 14, 17, 21])
    w.plant("prompt.growth", "night")
    grown(w, "garage", [30, 31, 33, 36, 37, 40], how="end", file=False)
    w.plant("prompt.append-only", "garage")
    return w


def museum() -> World:
    """Nothing to complain of."""
    w = World("museu", 35, "pt")
    way = Way("oi", "guia", "museu")
    every = [
        Tool(
            "procurar_obra",
            "Procura uma obra pelo título ou pelo pintor.",
            "palavras",
            ["Onde está o quadro {n}?", "Que obras têm de {who}?"],
            calls=50,
        ),
        Tool(
            "comprar_bilhete",
            "Vende um bilhete para um dia.",
            "dia",
            ["Dois bilhetes para {day}"],
            calls=50,
            permissions=("tickets:write",),
        ),
        Tool(
            "devolver_bilhete",
            "Devolve o dinheiro de um bilhete.",
            "bilhete",
            ["Não posso ir, devolvam o bilhete {n}"],
            calls=40,
            failures=1,
        ),
        Tool(
            "visita_guiada",
            "Inscreve um grupo numa visita guiada.",
            "grupo dia",
            ["Somos um grupo de escola, há visita a {day}?"],
            calls=40,
            seconds=(1.2, 1.4),
        ),
        Tool(
            "aluguer_audioguia", "Reserva um audioguia numa língua.", "lingua", ["Há audioguia em italiano?"], calls=40
        ),
    ]
    w.flow(replace(way, llm=2.0), every)
    w.suite("answer", [w.fill(ask) for t in every for ask in t.ask])
    released(w)
    healthy(w)
    return w


def insurer() -> World:
    """Nothing to complain of, on another way of sending; its frontend sends no traces."""
    w = World("seguros", 36, "es")
    way = Way("vercel", "gestora", "seguros", outer=True, version="2026.11.2", prompt=None)
    every = [
        Tool(
            "abrir_siniestro",
            "Abre el expediente de un siniestro.",
            "poliza fecha",
            ["Tuve un golpe con el coche el {day}", "Quiero declarar un accidente, póliza {n}"],
            calls=60,
            permissions=("claims:write",),
        ),
        Tool(
            "estado_siniestro",
            "Dice en qué punto está un siniestro.",
            "siniestro",
            ["¿Cómo va el siniestro {n}?"],
            calls=50,
        ),
        Tool(
            "cambiar_beneficiario",
            "Cambia la persona que cobra una póliza de vida.",
            "poliza persona",
            ["Que cobre {who} la póliza {n}"],
            calls=40,
            failures=2,
        ),
        Tool(
            "taller_concertado",
            "Busca un taller concertado cerca de un lugar.",
            "lugar",
            ["¿Qué taller me toca en {place}?"],
            calls=40,
        ),
    ]
    w.flow(way, every)
    w.suite("answer", [w.fill(ask) for t in every for ask in t.ask])
    released(w)
    healthy(w)
    return w


def small_7() -> World:
    w = World("hojas", 41, "es")
    way = Way("oi", "ayuda", "hojas", prompt=None, version=None, content=False)
    small(w, "biblioteca", 250, [(1, way, {})])
    w.plant("pipeline.missing-version")
    w.plant("pipeline.empty-span")
    thumbs(w, 1, (12, 20), value=1, name="rating")
    w.plant("feedback.unanswered", w.events[-1][2][1])
    w.plant("feedback.low-coverage")
    w.plant("people.no-review")
    released(w, by="service:release-bot", ok=None, seen=None, days=20)
    w.plant("people.no-approval", "answer")
    w.plant("people.unseen-release", "answer")
    return w


def small_8() -> World:
    w = World("plot", 42, "en")
    way = Way("tl", "grower", "plot")
    small(
        w,
        "garden",
        230,
        [(0.9, replace(way, llm=0.8, gap=0.7), {}), (0.1, replace(way, llm=0.8, gap=0.7, orphan=True), {})],
        (4, 4, 4, 4, 0.6),
    )
    w.plant("pipeline.untraced-time")
    w.plant("pipeline.broken-context")
    cases(w, "garden", (0, 1, 2, 3))
    reviews(w, 6, (33, 50))
    thumbs(w, 4, (34, 50))
    w.plant("feedback.stale")
    w.plant("people.no-review")
    released(w, by="person:rui.matos", ok=None, seen=None, days=5)
    return w


def small_9() -> World:
    w = World("suor", 43, "pt")
    way = Way("vercel", "socio", "suor")
    small(w, "ginasio", 220, [(0.6, way, {}), (0.4, replace(way, model="acme/voz-2"), {})], (4, 4, 3, 4, 4))
    w.plant("pipeline.unpriced")
    cases(w, "ginasio", (0, 1, 3, 4))
    w.plant("feedback.narrow-evals", "joelho|costas|ombro|lesão")
    read = reviews(w, 16, (1, 12), by=("rui.matos",))
    w.plant("people.single-reviewer")
    old = [t for d, t in w.traces if d > 30][:50]
    for i, trace in enumerate(old[:26]):  # the first version of the judge was compared, the second never
        w.score(29, trace, "claro", i % 3 > 0, "person:rui.matos" if i % 2 else "person:tom.hale")
    judged(w, old[:26], "claro", 1)
    judged(w, [t for d, t in w.traces if d < 30 and t not in read], "claro", 2)
    w.plant("feedback.uncalibrated-judge", "claro")
    bad = thumbs(w, 1, (10, 25), value=False, name="helpful")[0]
    w.plant("feedback.unanswered", bad)
    released(w)
    return w


def small_10() -> World:
    w = World("hub", 44, "en")
    way = Way("genai", "support", "hub", version=None)
    small(
        w,
        "garden",
        240,
        [
            (0.75, replace(way, llm=1.0), {"steps": [("plan", 1.0, True)]}),
            (0.25, replace(way, prompt=None, llm=1.0), {}),
        ],
    )
    w.plant("pipeline.missing-version")
    cases(w, "garden", (0, 1, 2, 3, 4))
    w.plant("feedback.low-coverage")
    w.plant("people.no-review")
    released(w, ok=None, seen=None, days=9)
    w.plant("people.no-approval", "answer")
    w.plant("people.unseen-release", "answer")
    return w


def small_11() -> World:
    w = World("motor", 45, "es")
    way = Way("genai", "jefe", "motor", model="openai/gpt-4.1-mini")
    small(
        w,
        "taller",
        200,
        [
            (0.42, replace(way, content=False, gap=3.0), {}),
            (0.5, replace(way, gap=3.0), {}),
            (0.08, replace(way, gap=3.0, orphan=True), {}),
        ],
    )
    w.plant("pipeline.untraced-time")
    w.plant("pipeline.broken-context")
    cases(w, "taller", (0, 1, 2, 3, 4))
    read = reviews(w, 21, (16, 28), by=("tom.hale",) * 20 + ("ines.vega",), spans=True)
    w.plant("people.single-reviewer")
    w.plant("feedback.unused-labels", "correct")
    judged(w, [t for _, t in w.traces if t not in read][:40], "preciso")
    w.plant("feedback.uncalibrated-judge", "preciso")
    released(w, by="person:tom.hale", ok=None)
    return w


def small_12() -> World:
    w = World("trigo", 46, "pt")
    way = Way("tl", "forno", "trigo", model="gpt-4.1-mini")
    slow = replace(way, gap=6.0)
    small(
        w,
        "padaria",
        215,
        [
            (0.82, way, {}),
            (0.1, slow, {}),
            (0.03, replace(way, model="outro-modelo"), {}),
            (0.03, replace(way, orphan=True), {}),
        ],
        (4, 4, 4, 2.4, 4),
    )
    cases(w, "padaria", (0, 1, 2, 4))
    w.plant("feedback.narrow-evals", "talão|Cobraram|Paguei|compra")
    read = reviews(w, 24, (2, 26), by=("ines.vega", "tom.hale", "ines.vega"), name="certo")
    judged(w, read, "certo")
    released(w, seen="person:tom.hale")
    bad = thumbs(w, 1, (2, 5), value=False)[0]
    assert bad
    return w


WORLDS = (airline, energy, clinic, haulage, museum, insurer, small_7, small_8, small_9, small_10, small_11, small_12)
