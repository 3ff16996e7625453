"""Worlds of a stranger, the half that was looked at: four desks with tools, one clean library, six small services."""

from __future__ import annotations

from dataclasses import replace

from stranger_kit import Tool, Way, World
from stranger_making import both, cases, grown, healthy, judged, long, pair, released, reviews, sent, small, thumbs
from stranger_words import office


def shop() -> World:
    w = World("shop", 11, "en")
    way = Way("genai", "shopper", "shop")
    track = Tool(
        "track_parcel",
        "Tells where a parcel is now, by the number of its order.",
        "order",
        ["Where is my order {n}?", "Has parcel {n} left yet?"],
        calls=30,
    )
    search = Tool(
        "search_orders",
        "Search the orders of a customer by name and date.",
        "customer date?",
        ["Which orders did {who} place on {day}?"],
        calls=28,
    )
    find = Tool(
        "find_orders",
        "Find a customer's orders by name and date.",
        "customer date?",
        ["List every purchase that {who} made around {day}"],
        calls=2,
    )
    cancel = Tool("cancel_order", "Stops an order before it leaves the warehouse.", "order")
    refund = Tool("refund_money", "Sends money back to the card that paid.", "payment")
    stock = Tool(
        "stock_level",
        "Says how many pieces of an article are left in the warehouse.",
        "article",
        ["Is article {n} in stock?", "How many of {n} are left?"],
        calls=50,
        failures=20,
    )
    slots = Tool(
        "delivery_slots",
        "Lists hours at which a driver can come to an address.",
        "address",
        ["When can you deliver to {place}?"],
        calls=20,
        seconds=(7, 8, 9.5),
    )
    coupon = Tool("get_coupon", None, "code", ["What is coupon {n} good for?"], calls=12)
    address = Tool(
        "change_address",
        "Writes a new address into an order that has not left.",
        "order address",
        ["Send order {n} to {place} instead"],
        owner=None,
    )
    card = Tool(
        "customer_card",
        "Shows the name and address of a customer.",
        "customer",
        ["Show me the card of customer {n}"],
        calls=25,
        permissions=("customers:read", "customers:delete"),
    )
    wrap = Tool("gift_wrap_quote", "Tells what gift paper costs for an order.", "order")
    hours = Tool(
        "store_hours",
        "Tells when a shop opens and closes.",
        "shop",
        ["Is the shop in {place} open on {day}?"],
        calls=1,
        days=(20, 21),
    )
    start = Tool(
        "create_return",
        "Starts the return of an article.",
        "order article",
        ["I want to send back article {n}"],
        failures=2,
        calls=12,
    )
    stop = Tool(
        "cancel_return",
        "Stops the return of an article.",
        "order article",
        ["I keep article {n} after all, stop its return"],
        seconds=(0.3, 0.4, 0.5, 25),
    )
    every = [track, search, find, cancel, refund, stock, slots, coupon, address, card, wrap, hours, start, stop]
    w.flow(way, [t for t in every if t not in (cancel, refund, wrap)], every)
    pair(
        w,
        way,
        ["I no longer want order {n}, please take it back.", "I do not want order {n} any more, please take it back"],
        cancel,
        refund,
        (15, 15),
        every,
    )
    w.tools["gift_wrap_quote"] = wrap
    for rule, tool in {
        "unused": "gift_wrap_quote",
        "overlap": "find_orders",
        "ambiguous": "cancel_order|refund_money",
        "failing": "stock_level",
        "slow": "delivery_slots",
        "undescribed": "get_coupon",
        "unowned": "change_address",
        "wide-permission": "customer_card",
    }.items():
        w.plant(f"tools.{rule}", tool)
    crowd = office("en", 26)
    w.flow(replace(way, agent="office"), crowd)
    w.plant("tools.too-many", "office")
    points = Tool("loyalty_points", "Counts the points that a member has collected.", "member")
    joined = Tool("join_club", "Makes somebody a member of the club.", "name", ["Sign {who} up for the club"], calls=30)
    w.flow(replace(way, agent="club"), [joined], [joined, points])
    released(w)
    thumbs(w, 14, (15, 27), by="user:{n}")  # and none since: half a month is not a month
    reviews(w, 9, (4, 20))
    long(w, "terms", 100)
    w.plant("prompt.too-long", "terms")
    long(w, "greeting", 40)
    grown(w, "advice", [8, 12, 16, 20, 24])
    w.plant("prompt.growth", "advice")
    grown(w, "complaint", [30, 32, 34, 36, 38], how="end")
    w.plant("prompt.append-only", "complaint")
    grown(w, "tone", [10, 14, 9, 14, 16])
    grown(w, "notes", [10, 14, 18], how="end")
    return w


def hotel() -> World:
    w = World("hotel", 12, "pt")
    way = Way("oi", "rececao", "hotel")
    livre = Tool(
        "quartos_livres",
        "Diz que quartos estão livres entre duas datas.",
        "chegada partida",
        ["Têm quarto livre a {day}?", "Há algum quarto para {day}?"],
        calls=30,
    )
    reservar = Tool(
        "reservar_quarto",
        "Reserva um quarto em nome de um hóspede.",
        "hospede chegada partida",
        ["Reserve um quarto para {who} a {day}"],
        calls=20,
    )
    anular = Tool(
        "anular_reserva",
        "Anula a reserva de um quarto em nome de um hóspede.",
        "hospede chegada partida",
        ["Anule a reserva de {who} de {day}"],
    )
    tempo = Tool(
        "previsao_tempo",
        "Dá a previsão do tempo para uma cidade.",
        "cidade",
        ["Vai chover em {place}?", "Que tempo faz em {place} amanhã?"],
        calls=24,
    )
    meteo = Tool(
        "meteorologia_local",
        "Informa sobre as condições meteorológicas previstas numa localidade.",
        "localidade",
        ["Preciso de levar guarda-chuva para {place}?"],
        calls=3,
    )
    taxi = Tool("chamar_taxi", "Manda vir um táxi à porta do hotel.", "hora", failures=0)
    transfer = Tool("pedir_transfer", "Marca uma carrinha partilhada para o aeroporto.", "hora voo?")
    conta = Tool(
        "ver_conta",
        "Mostra o que um hóspede deve até agora.",
        "quarto:integer",
        ["Quanto devo no quarto {n}?", "Qual é a conta do {n}?"],
        calls=40,
        failures=10,
    )
    spa = Tool(
        "marcar_spa",
        "Marca uma hora no spa para um hóspede.",
        "hospede hora",
        ["Quero uma massagem a {day}", "Marque o spa para {who}"],
        calls=20,
        seconds=(1.9, 2.0, 2.2),
    )
    toalhas = Tool("toalhas", "Toalhas.", "quarto:integer", ["Faltam toalhas no {n}"])
    pequeno = Tool(
        "horario_refeicao", "Horas das refeições num dia.", "dia", ["A que horas é o pequeno-almoço a {day}?"]
    )
    ficha = Tool(
        "ficha_hospede",
        "Lê a ficha de um hóspede.",
        "hospede",
        ["Que quarto preferia {who} da última vez?"],
        calls=22,
        owner="gone.smith",
    )
    porta = Tool(
        "codigo_porta",
        "Mostra o código atual da porta de um quarto.",
        "quarto:integer",
        ["Qual é o código da porta {n}?"],
        calls=30,
        permissions=("doors:read", "doors:admin"),
    )
    cofre = Tool(
        "abrir_cofre",
        "Abre o cofre de um quarto e muda o código.",
        "quarto:integer codigo",
        ["Abra o cofre do {n}"],
        calls=24,
        permissions=("safes:write",),
        owner="ines.vega",
    )
    bicicleta = Tool(
        "alugar_bicicleta",
        "Aluga uma bicicleta a um hóspede.",
        "hospede",
        ["Quero uma bicicleta"],
        calls=20,
        days=(45, 80),
    )
    every = [
        livre,
        reservar,
        anular,
        tempo,
        meteo,
        taxi,
        transfer,
        conta,
        spa,
        toalhas,
        pequeno,
        ficha,
        porta,
        cofre,
        bicicleta,
    ]
    w.flow(replace(way, llm=0.3), [spa], every)
    w.flow(way, [t for t in every if t not in (taxi, transfer, spa)], every)
    pair(
        w,
        way,
        [
            "Preciso de ir para o aeroporto a {day}",
            "Como vou para o aeroporto no dia {day}?",
            "Quero ir ao aeroporto a {day}",
        ],
        taxi,
        transfer,
        (21, 9),
        every,
    )
    for rule, tool in {
        "unused": "alugar_bicicleta",
        "overlap": "meteorologia_local",
        "ambiguous": "chamar_taxi|pedir_transfer",
        "failing": "ver_conta",
        "slow": "marcar_spa",
        "undescribed": "toalhas",
        "unowned": "ficha_hospede",
        "wide-permission": "codigo_porta",
    }.items():
        w.plant(f"tools.{rule}", tool)
    w.flow(replace(way, agent="escritorio"), office("pt", 24))
    w.plant("tools.too-many", "escritorio")
    released(w, by="service:ci", ok=None)
    w.plant("people.no-approval", "answer")
    thumbs(w, 2, (3, 20))
    w.plant("feedback.low-coverage")
    w.plant("people.no-review")
    long(w, "regras", 75, kept=True)
    w.plant("prompt.too-long", "regras")
    sent(w, replace(way, agent="gerente"), [8, 11, 15, 19])
    w.plant("prompt.growth", "gerente")
    grown(w, "limpeza", [30, 33, 36, 38, 40], how="between")
    w.plant("prompt.append-only", "limpeza")
    grown(w, "jardim", [20, 22, 23, 25])
    return w


def bank() -> World:
    w = World("banco", 13, "es")
    way = Way("tl", "cajero", "banco")
    saldo = Tool(
        "saldo_cuenta",
        "Dice cuánto dinero hay en una cuenta.",
        "cuenta",
        ["¿Cuánto tengo en la cuenta {n}?", "Saldo de la cuenta {n}"],
        calls=30,
    )
    movimientos = Tool(
        "movimientos_cuenta",
        "Lista los últimos movimientos de una cuenta.",
        "cuenta desde?",
        ["¿Qué pagos salieron de la cuenta {n}?"],
        calls=20,
    )
    transferir = Tool(
        "hacer_transferencia",
        "Envía dinero de una cuenta a otra.",
        "origen destino importe:integer",
        ["Manda {n} euros a {who}"],
        calls=30,
        failures=15,
        failed_days=(45, 70),
        days=(1, 28),
    )
    bloquear = Tool("bloquear_tarjeta", "Bloquea una tarjeta perdida o robada.", "tarjeta", calls=12)
    anular = Tool("anular_tarjeta", "Da de baja una tarjeta para siempre.", "tarjeta")
    cajeros = Tool(
        "cajeros_cerca",
        "Busca cajeros automáticos cerca de una dirección.",
        "direccion",
        ["¿Dónde hay un cajero en {place}?"],
        calls=20,
    )
    oficinas = Tool(
        "oficinas_cerca",
        "Busca oficinas del banco cerca de una dirección.",
        "direccion",
        ["¿Qué oficina me queda cerca en {place}?"],
        calls=20,
        seconds=(4, 4.2),
    )
    hipoteca = Tool(
        "simular_hipoteca",
        "Calcula la cuota mensual de una hipoteca.",
        "importe:integer anos:integer",
        ["¿Qué cuota tendría una hipoteca de {n}?"],
        calls=14,
        seconds=(6, 5.5, 7),
    )
    cuota = Tool(
        "calcular_cuota_vivienda",
        "Estima lo que se paga cada mes por un préstamo para comprar casa.",
        "capital:integer plazo:integer",
        ["Voy a comprar un piso de {n}, ¿cuánto pagaría al mes?"],
        calls=2,
    )
    firmar = Tool("firma_pendiente", "Consulta de firmas", "cliente", ["¿Tengo algo por firmar, cliente {n}?"])
    divisa = Tool(
        "comprar_divisa",
        "Compra moneda extranjera para un cliente.",
        "cliente moneda",
        ["Quiero francos suizos, soy {who}"],
        owner="equipo-pagos",
        calls=24,
        failures=8,
    )
    consulta = Tool(
        "consulta_sql",
        "Hace una consulta a la base de datos de clientes.",
        "sql",
        ["¿Cuántos clientes hay en {place}?"],
        calls=30,
        permissions=("db:read", "db:write"),
        args=(
            {"sql": "SELECT count(*) FROM cliente WHERE ciudad = 'Faro'"},
            {"sql": "select nombre from cliente limit 10"},
        ),
    )
    aviso = Tool(
        "crear_aviso",
        "Crea una alerta para cuando baje el saldo de una cuenta.",
        "cuenta limite:integer",
        ["Avísame si la cuenta {n} baja"],
        calls=22,
        permissions=("alerts:write",),
    )
    cheque = Tool("pedir_chequera", "Encarga una chequera para una cuenta.", "cuenta", written=False)
    every = [
        saldo,
        movimientos,
        transferir,
        bloquear,
        anular,
        cajeros,
        oficinas,
        hipoteca,
        cuota,
        firmar,
        divisa,
        consulta,
        aviso,
    ]
    w.flow(replace(way, llm=9.0), [oficinas], every)
    w.flow(way, [t for t in every if t not in (bloquear, anular, oficinas)], every)
    w.flow(
        way,
        [replace(saldo, calls=180, days=(0.5, 48), ask=("¿Qué hay en la {n}?", "Mi saldo, cuenta {n}"))],
        [*every, cheque],
    )
    pair(
        w,
        way,
        ["He perdido la tarjeta {n}", "Me robaron la tarjeta {n}", "Perdí mi tarjeta {n}"],
        bloquear,
        anular,
        (39, 2),
        every,
    )
    for rule, tool in {
        "unused": "pedir_chequera",
        "overlap": "calcular_cuota_vivienda",
        "failing": "comprar_divisa",
        "slow": "simular_hipoteca",
        "undescribed": "firma_pendiente",
        "unowned": "comprar_divisa",
        "wide-permission": "consulta_sql",
    }.items():
        w.plant(f"tools.{rule}", tool)
    w.plant("tools.unowned", "pedir_chequera")  # known from traces alone: nobody answers for it
    w.flow(replace(way, agent="oficina"), office("es", 21))
    w.plant("tools.too-many", "oficina")
    released(
        w, by="person:tom.hale", ok=None, seen=None
    )  # somebody else put it there: who made it did not decide alone
    w.plant("people.unseen-release", "answer")
    thumbs(w, 12, (2, 60))
    reviews(w, 14, (2, 13), by=("rui.matos",))
    w.plant("people.single-reviewer")
    bad = thumbs(w, 1, (14, 20), value=False)[0]
    w.plant("feedback.unanswered", bad)
    long(w, "hipotecas", 48)
    grown(w, "saludo", [10, 11, 12, 13, 16], how="end")
    w.plant("prompt.growth", "saludo")
    w.plant("prompt.append-only", "saludo")
    return w


def helpdesk() -> World:
    w = World("helpdesk", 14, "en")
    way = Way("vercel", "helper", "helpdesk")
    status = Tool(
        "service_status",
        "Says whether an internal service works right now.",
        "service",
        ["Is the mail down?", "Does service {n} work?"],
        calls=30,
    )
    ticket = Tool(
        "create_ticket",
        "Opens a ticket for something that a person of the help desk must do.",
        "title",
        permissions=("tickets:write",),
    )
    remind = Tool("notify_oncall", "Wakes the engineer who is on duty.", "text")
    unlock = Tool(
        "unlock_account",
        "Unlocks an account after too many wrong passwords.",
        "login",
        ["My account {n} is locked"],
        calls=9,
        failures=5,
    )
    vpn = Tool(
        "vpn_profile",
        "Makes a new profile for the remote network.",
        "login",
        ["The remote network does not let me in, login {n}"],
        calls=30,
        failures=9,
    )
    laptop = Tool(
        "laptop_lookup",
        "Shows model and age of a laptop by its asset number.",
        "asset",
        ["How old is my laptop {n}?"],
        calls=21,
        permissions=("assets:*",),
    )
    asset = Tool(
        "get_device_details",
        "Retrieves the type and the year of purchase of a computer from its inventory tag.",
        "tag",
        ["What machine carries tag {n}?"],
        calls=3,
    )
    printer = Tool("printer_queue", "printer queue", "printer", ["What waits on printer {n}?"], calls=20)
    wifi = Tool(
        "wifi_map",
        "Strength of the wireless network.",
        "floor:integer",
        ["How good is the wifi on my floor?"],
        calls=20,
        seconds=(0.8,),
    )
    backup = Tool(
        "restore_file",
        "Brings back a file from the backup of a day.",
        "path day",
        ["Restore file {n} from {day}"],
        calls=14,
        seconds=(11, 14, 30),
        owner="people.ops",
    )
    phone = Tool(
        "order_phone",
        "Orders a mobile phone for an employee.",
        "person",
        ["{who} needs a phone"],
        calls=2,
        days=(15, 25),
    )
    fax = Tool("send_fax", "Sends a page to a fax machine.", "number page")
    audit = Tool(
        "update_record",
        "Changes a field of an employee's record.",
        "person field value",
        ["Change the room of {who} to {n}"],
        calls=25,
        permissions=("records:read", "records:write"),
    )
    every = [status, ticket, remind, unlock, vpn, laptop, asset, printer, backup, phone, fax, audit]
    w.flow(replace(way, llm=0.1), [wifi], [*every, wifi])
    w.flow(way, [t for t in every if t not in (ticket, remind, fax)], every)
    both(
        w,
        way,
        ["Nothing works in building {n}, tell somebody", "All screens are black in building {n}, tell somebody"],
        ticket,
        remind,
        20,
        every,
    )
    pair(w, way, ["My screen {n} flickers", "The screen {n} keeps flickering"], ticket, status, (12, 8), every)
    w.tools["send_fax"] = fax
    for rule, tool in {
        "unused": "send_fax",
        "overlap": "get_device_details",
        "ambiguous": "create_ticket|service_status",
        "failing": "vpn_profile",
        "slow": "restore_file",
        "undescribed": "printer_queue",
        "unowned": "restore_file",
        "wide-permission": "laptop_lookup",
    }.items():
        w.plant(f"tools.{rule}", tool)
    w.flow(replace(way, agent="office"), office("en", 20))
    released(w, by="person:ines.vega", ok=None, seen="person:ines.vega", days=20)
    w.plant("people.no-approval", "answer")
    w.plant("people.unseen-release", "answer")
    healthy(w)
    old = reviews(w, 25, (16, 60), by=("ines.vega", "tom.hale", "rui.matos"), name="tone")
    w.plant("feedback.unused-labels", "tone")
    judged(w, [t for _, t in w.traces[:50] if t not in old], "polite")
    w.plant("feedback.uncalibrated-judge", "polite")
    seen = thumbs(w, 1, (12, 20), value=False)[0]
    w.score(6, seen, "correct", False, "person:tom.hale", "wrong floor; told them")
    long(w, "network", 69)
    w.plant("prompt.too-long", "network")
    grown(w, "escalation", [12, 12, 13, 14, 15])
    grown(w, "screens", [10, 13, 16, 20], how="end", file=False)
    w.plant("prompt.growth", "screens")
    w.plant("prompt.append-only", "screens")
    return w


def library() -> World:
    """Nothing to complain of."""
    w = World("library", 15, "en")
    way = Way("genai", "librarian", "library")
    every = [
        Tool(
            "find_book",
            "Finds books by words of their title or author.",
            "words",
            ["Do you have a book on {place}?", "Have you got something by {who}?"],
            calls=60,
        ),
        Tool(
            "renew_loan",
            "Extends a loan by three weeks.",
            "loan",
            ["Renew loan {n}", "Can I keep {n} longer?"],
            calls=50,
            failures=2,
        ),
        Tool(
            "cancel_hold",
            "Takes a reader off the waiting list of a book.",
            "hold",
            ["I no longer wait for {n}"],
            calls=40,
            permissions=("holds:write",),
        ),
        Tool(
            "place_hold",
            "Puts a reader on the waiting list of a book.",
            "book",
            ["Put me on the list for book {n}"],
            calls=40,
            permissions=("holds:write",),
        ),
        Tool(
            "opening_hours",
            "Tells when a branch is open.",
            "branch",
            ["Is {place} open on {day}?"],
            calls=40,
            seconds=(0.2, 0.4, 6),
        ),
    ]
    w.flow(way, every)
    w.suite("answer", [w.fill(ask) for t in every for ask in t.ask])
    released(w)
    healthy(w)
    return w


def small_1() -> World:
    w = World("rad", 21, "en")
    way = Way("genai", "rider", "rad")
    small(
        w,
        "bikes",
        260,
        [(0.6, replace(way, gap=2.5), {}), (0.4, replace(way, gap=2.5, orphan=True), {})],
        (3, 3, 3, 2, 4),
    )
    w.plant("pipeline.untraced-time")
    w.plant("pipeline.broken-context")
    cases(w, "bikes", (0, 1, 2, 3))
    w.plant("feedback.narrow-evals", "insur|hospital|crash|accident|fall")
    w.plant("feedback.low-coverage")
    w.plant("people.no-review")
    released(w, ok=None, seen=None, days=30)
    w.plant("people.no-approval", "answer")
    w.plant("people.unseen-release", "answer")
    return w


def small_2() -> World:
    w = World("pao", 22, "pt")
    way = Way("oi", "balcao", "pao", version=None, prompt=None)
    small(w, "padaria", 240, [(1, way, {"steps": [("GET /stock", 0.1, False)]})], (4, 4, 4, 4, 0.9))
    w.plant("pipeline.missing-version")
    cases(w, "padaria", (0, 1, 2, 3))
    thumbs(w, 8, (50, 62))
    bad = thumbs(w, 1, (50, 60), value=False)[0]
    w.plant("feedback.stale")
    w.plant("people.no-review")
    w.plant("feedback.unanswered", bad)
    judged(w, [t for _, t in w.traces[:40]], "educado")
    w.plant("feedback.uncalibrated-judge", "educado")
    released(w, by="person:tom.hale", ok=None, seen="person:rui.matos")
    return w


def small_3() -> World:
    w = World("coche", 23, "es")
    way = Way("tl", "mecanico", "coche", model="acme-chat-7b")
    small(w, "taller", 220, [(0.45, way, {}), (0.55, replace(way, content=False), {})], (4, 4, 4, 4, 3))
    w.plant("pipeline.unpriced")
    w.plant("pipeline.empty-span")
    cases(w, "taller", (0, 1, 2, 3))
    w.plant("feedback.narrow-evals", "ITV|inspección")
    read = reviews(w, 19, (2, 12), by=("ines.vega",))
    w.plant("people.single-reviewer")
    judged(w, [t for _, t in w.traces if t not in read][:60], "amable")
    w.plant("feedback.uncalibrated-judge", "amable")
    released(w, by="service:ci", ok=None, seen=None, days=3)
    w.plant("people.no-approval", "answer")
    return w


def small_4() -> World:
    w = World("velo", 24, "en")
    way = Way("vercel", "pedal", "velo", version=None)
    bare = replace(way, prompt=None)
    small(w, "bikes", 230, [(0.7, replace(way, llm=0.5, gap=0.4), {}), (0.3, replace(bare, llm=0.5, gap=0.4), {})])
    w.plant("pipeline.missing-version")
    cases(w, "bikes", (0, 1, 2, 3, 4))
    reviews(w, 2, (10, 20), by=("tom.hale",))
    w.plant("feedback.low-coverage")
    released(
        w, by="person:ines.vega", ok="person:rui.matos", seen="person:ines.vega", days=25
    )  # who approved has seen it
    return w


def small_5() -> World:
    w = World("forma", 25, "pt")
    way = Way("genai", "treino", "forma", outer=True)
    step = {"steps": [("resize", 1.5, True)]}
    small(
        w,
        "ginasio",
        210,
        [(0.92, replace(way, gap=1.2), step), (0.08, replace(way, gap=1.2, model="ft:acme:casa:9"), step)],
    )
    w.plant("pipeline.untraced-time")
    w.plant("pipeline.unpriced")
    cases(w, "ginasio", (0, 1, 2, 3, 4))
    reviews(w, 20, (17, 28), by=("ines.vega",) * 19 + ("tom.hale",))
    w.plant("people.single-reviewer")
    w.plant("feedback.unused-labels", "correct")
    released(w, ok=None, seen="person:tom.hale")
    w.score(77, "prompt:answer@1", "approval", True, "person:tom.hale", "the first one")
    w.plant("people.no-approval", "answer")
    return w


def small_6() -> World:
    w = World("libros", 26, "es")
    way = Way("vercel", "sala", "libros", model="house-model", cost=0.002)
    small(
        w,
        "biblioteca",
        205,
        [
            (0.7, way, {"steps": [("consulta", 2.0, False)]}),
            (0.3, replace(way, content=False), {"steps": [("consulta", 2.0, False)]}),
        ],
    )
    cases(w, "biblioteca", (0, 1, 2, 3, 4))
    read = reviews(w, 22, (5, 25), by=("ines.vega", "ines.vega", "tom.hale"), name="correcto")
    judged(w, read, "correcto")
    bad = thumbs(w, 1, (14, 20), value=False)[0]
    w.score(9, bad, "correcto", False, "person:tom.hale", "old opening hours; mended")
    thumbs(w, 1, (2, 4), value=False)
    w.version(30, "answer", "# system\nResponde." + "\n# user\n{{ question }}")
    w.alias(20, "answer@staging", "prompt:answer@1")
    return w


WORLDS = (shop, hotel, bank, helpdesk, library, small_1, small_2, small_3, small_4, small_5, small_6)
