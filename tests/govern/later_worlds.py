"""Small projects in three languages and four dialects, each with one or two debts and what only looks like them.

Written from the documentation before the rules' code was read. Those of odd place were looked at while rules were mended, those
of even place were counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from stranger_kit import Call, Tool, Way, World

ASK = {
    "en": [
        "Do you repair pianos in {place}?", "My violin {n} lost a string", "What does tuning cost?", "Can I hire a cello for {day}?",
        "Is lesson {n} paid?", "Who teaches the flute?", "When is the concert of {who}?", "Do you buy old trumpets?",
    ],
    "pt": [
        "Reparam pianos em {place}?", "A corda do violino {n} partiu", "Quanto custa afinar?", "Posso alugar um violoncelo a {day}?",
        "A aula {n} está paga?", "Quem ensina flauta?", "Quando é o concerto de {who}?", "Compram trompetes velhos?",
    ],
    "es": [
        "¿Reparan pianos en {place}?", "Se rompió la cuerda del violín {n}", "¿Cuánto cuesta afinar?", "¿Puedo alquilar un chelo el {day}?",
        "¿Está pagada la clase {n}?", "¿Quién enseña flauta?", "¿Cuándo es el concierto de {who}?", "¿Compran trompetas viejas?",
    ],
}  # fmt: skip
SAY = {"en": "Yes, see page {n}.", "pt": "Sim, veja a página {n}.", "es": "Sí, vea la página {n}."}
LINES = {
    "en": """Greet the visitor once.|Name the workshop that is nearest to the visitor.|Quote prices with tax.|Ask which instrument it is.
Say how long a repair takes.|Offer a call when a matter is urgent.|Mention the spare instruments.|Keep the names of teachers out of public replies.
Point to the concert calendar.|Tell parents that lessons for children last thirty minutes.|Explain how strings are chosen.|Send complaints to the manager.
Warn that varnish is sensitive to heat.|Describe the way from the station.|Say that the cafe is closed on Mondays.|Recommend a case for every flute.
Name the insurance that covers hired instruments.|Close with the phone number.|Tell members about the library of scores.|Give the dates of the summer school.""",
    "pt": """Saúda o visitante uma vez.|Indica a oficina mais próxima do visitante.|Dá os preços com IVA.|Pergunta qual é o instrumento.
Diz quanto demora uma reparação.|Oferece uma chamada quando é urgente.|Refere os instrumentos de substituição.|Não divulgues nomes de professores.
Remete para a agenda de concertos.|Diz aos pais que as aulas das crianças duram meia hora.|Explica como se escolhem as cordas.|Envia queixas à gerente.
Avisa que o verniz não suporta calor.|Descreve o caminho desde a estação.|Diz que o bar fecha à segunda.|Recomenda um estojo para cada flauta.
Indica o seguro dos instrumentos alugados.|Termina com o telefone.|Fala aos sócios da biblioteca de partituras.|Dá as datas da escola de verão.""",
    "es": """Saluda una vez al visitante.|Indica el taller más cercano.|Da los precios con IVA.|Pregunta de qué instrumento se trata.
Di cuánto tarda una reparación.|Ofrece una llamada si es urgente.|Menciona los instrumentos de préstamo.|No difundas nombres de profesores.
Remite a la agenda de conciertos.|Di a los padres que las clases de niños duran media hora.|Explica cómo se eligen las cuerdas.|Envía las quejas a la gerente.
Avisa de que el barniz no aguanta el calor.|Describe el camino desde la estación.|Di que el bar cierra los lunes.|Recomienda un estuche para cada flauta.
Indica el seguro de los instrumentos alquilados.|Termina con el teléfono.|Habla a los socios de la biblioteca de partituras.|Da las fechas de la escuela de verano.""",
}  # fmt: skip
USER = "\n# user\n{{ question }}"


def bank(lang: str) -> list[str]:
    return LINES[lang].replace("\n", "|").split("|")


def traffic(w: World, way: Way, count: int = 60, days: tuple[float, float] = (1, 55), **more: object) -> list[str]:
    """So many requests, evenly over these days."""
    ask, step = ASK[w.lang], (days[1] - days[0]) / count
    return [
        w.request(days[0] + step * i, way, w.fill(ask[i % len(ask)]), w.fill(SAY[w.lang]), **more) for i in range(count)
    ]  # type: ignore[arg-type]


def heard(w: World, count: int = 6, people: Sequence[str] = ("ines.vega", "tom.hale"), days: tuple[float, float] = (2, 25), name: str = "good") -> list[str]:  # fmt: skip
    """Judgements by these people in turn, of the day they judge."""
    fit = [one for one in w.traces if days[0] <= one[0] <= days[1]]
    chosen = w.r.sample(fit, count)
    for i, (day, trace) in enumerate(chosen):
        w.score(day - 0.2, trace, name, i % 4 > 0 or "no", f"person:{people[i % len(people)]}", "read")
    return [trace for _, trace in chosen]


def versions(w: World, name: str, texts: Sequence[Sequence[str]], first: float = 90, step: float = 9) -> None:
    for i, text in enumerate(texts):
        w.version(first - step * i, name, "# system\n" + "\n".join(text) + USER)
    w.prompt(name, "# system\n" + "\n".join(texts[-1]) + USER)


def growing(lang: str, way: str) -> list[list[str]]:
    """Versions of a prompt that somebody edits in this way."""
    b = bank(lang)
    match way:
        case "more and other words":  # lines are reworded as well as added
            return [b[:6], [*b[:4], *b[6:10]], [*b[1:4], *b[8:14]], [*b[2:4], *b[9:19]]]
        case "one line at a time, reworded":
            return [[line.replace(".", f" ({i}).") for line in b[: 6 + i]] for i in range(6)]
        case "longer lines":  # no line more: each says more
            return [[f"{line} {' '.join(b[10 + j] for j in range(i))}" for line in b[:4]] for i in range(4)]
        case "end":
            return [b[: 12 + i] for i in range(5)]
        case "in between":
            return [b[:10], [*b[:5], b[10], *b[5:10]], [*b[:2], b[11], *b[2:5], b[10], *b[5:10]], [*b[:2], b[11], *b[2:5], b[10], *b[5:10], b[12]]]  # fmt: skip
        case "end, with one typing error mended":
            bad = [b[0].replace("e", "ee", 1), *b[1:]]
            return [bad[:9], bad[:11], [*b[:11], *b[11:13]], b[:17]]
        case "end, reformatted":  # bullets came, and an empty line, besides what was added
            return [b[:10], b[:11], [f"- {line}" for line in b[:12]], ["", *(f"- {line}" for line in b[:13])]]
        case "cut back":  # near miss: it was longer before
            return [b[:8], b[:14], b[:7], b[:9], b[:10]]
        case "three":  # near miss: too few versions
            return [b[:6], b[:9], b[:12]]
        case "little":  # near miss: other words, a fifth longer
            return [b[:10], [*b[1:10], b[12]], [*b[3:10], *b[12:16]], [*b[5:10], *b[12:19]]]
        case "tidied":  # near miss: as much goes as comes
            return [b[:10], [*b[:9], b[12], b[13]], [*b[2:9], b[12], b[13], b[14], b[15]], [*b[3:8], *b[12:17]]]
        case _:
            raise ValueError(way)


def grows(lang: str, planted: Sequence[tuple[str, str]], near: Sequence[str]) -> Callable[[World], None]:
    def make(w: World) -> None:
        for i, (rules, how) in enumerate(planted):
            versions(w, f"grown{i}", growing(lang, how))
            for rule in rules.split():
                w.plant(f"prompt.{rule}", f"grown{i}")
        for i, how in enumerate(near):
            versions(w, f"near{i}", growing(lang, how))

    return make


def feedback(w: World, case: str) -> None:
    way = Way(("genai", "oi", "tl", "vercel")[w.seed % 4], "desk", "music")
    match case:
        case "one reader":
            traffic(w, way, 80)
            heard(w, 14, ["ines.vega"])
            w.plant("people.single-reviewer", "ines.vega")
        case "one reader on spans, another once":
            traffic(w, way, 80)
            for i, (day, trace) in enumerate(w.traces[3:25]):
                by = "person:tom.hale" if i == 7 else "person:rui.matos"
                w.score(day - 0.3, f"{trace}/{w.roots[trace]}", ("tone", "facts")[i % 2], i % 3 > 0, by)
            w.plant("people.single-reviewer", "rui.matos")
        case "one reader, and judges and users":
            traffic(w, way, 80)
            for i, (day, trace) in enumerate(w.traces[3:40]):
                w.score(day - 0.1, trace, "stars", i % 3 + 3, f"user:{i}")
                w.score(day - 0.1, trace, "fits", i % 4 > 0, "judge:fits@1")
                if i % 2:
                    w.score(day - 0.2, trace, "fits", i % 4 > 0, "person:tom.hale")
            w.plant("people.single-reviewer", "tom.hale")
            w.plant("feedback.uncalibrated-judge", "fits")
        case "two readers":  # near misses: four in five by one; nine by one
            traffic(w, way, 80)
            heard(w, 20, ["ines.vega", "ines.vega", "ines.vega", "ines.vega", "tom.hale"])
        case "nine by one":
            traffic(w, way, 60)
            heard(w, 9, ["rui.matos"])
        case "judge alone":
            traffic(w, way, 80)
            heard(w)
            for i, (_, trace) in enumerate(w.traces[:60]):
                w.score(1, trace, "faithful", (i % 7) / 7, "judge:faithful@2")
            w.plant("feedback.uncalibrated-judge", "faithful")
        case "judge beside people":  # people read 30, the judge 30 others; and a calibrated judge
            traffic(w, way, 90)
            for i, (day, trace) in enumerate(w.traces[:30]):
                w.score(day - 0.2, trace, "polite", i % 3 > 0, f"person:{('ines.vega', 'tom.hale')[i % 2]}")
                w.score(1, trace, "kind", i % 3 > 0, "judge:kind@1")
                w.score(day - 0.2, trace, "kind", i % 3 > 0, f"person:{('ines.vega', 'tom.hale')[i % 2]}")
            for i, (_, trace) in enumerate(w.traces[40:80]):
                w.score(1, trace, "polite", i % 3 > 0, "judge:polite@1")
            w.plant("feedback.uncalibrated-judge", "polite")
        case "judge held against spans":  # near miss: people judged the spans of the traces that the judge read
            traffic(w, way, 60)
            for i, (day, trace) in enumerate(w.traces[:30]):
                w.score(1, trace, "exact", i % 3 > 0, "judge:exact@1")
                w.score(day - 0.2, f"{trace}/{w.roots[trace]}", "exact", i % 3 > 0, f"person:{('ines.vega', 'tom.hale')[i % 2]}")  # fmt: skip
        case "hardly any":
            traffic(w, way, 260, (0.5, 58))
            heard(w, 1)
            w.plant("feedback.low-coverage")
        case "enough":  # near miss
            traffic(w, way, 220, (0.5, 58))
            heard(w, 5)
        case "old":
            traffic(w, way, 160, (0.5, 80))
            heard(w, 8, days=(56, 70))
            w.plant("feedback.stale")
        case "three weeks old":  # near miss
            traffic(w, way, 120, (0.5, 70))
            heard(w, 8, days=(21, 28))
        case "complaints":
            traffic(w, way, 70)
            heard(w)
            for i, (day, trace) in enumerate([one for one in w.traces if one[0] > 26][:3]):
                w.score(day - 0.1, trace, ("thumbs", "rating", "helpful")[i], (False, 1, "no")[i], f"user:{i}", "wrong price")  # fmt: skip
            w.plant("feedback.unanswered")
        case "a complaint in words":
            traffic(w, way, 70)
            heard(w)
            day, trace = next(one for one in w.traces if one[0] > 26)
            w.score(day - 0.1, trace, "user_feedback", -1, "user:8", "this is useless")
            w.plant("feedback.unanswered")
        case "complaints that were seen":  # near misses: read by a person afterwards; of yesterday
            traffic(w, way, 70)
            heard(w)
            for day, trace in [one for one in w.traces if one[0] > 12][:3]:
                w.score(day - 0.1, trace, "thumbs", False, "user:3", "wrong")
                w.score(day - 2, trace, "checked", "price list mended", "person:tom.hale")
            day, trace = next(one for one in w.traces if one[0] > 2)
            w.score(day - 0.1, trace, "thumbs", False, "user:4", "wrong")
        case "labels on the shelf":
            traffic(w, way, 90)
            heard(w, 26, days=(18, 50))
            heard(w, 3, days=(2, 20), name="other")
            w.plant("feedback.unused-labels")
        case "labels, a dozen":  # near miss
            traffic(w, way, 90)
            heard(w, 12, days=(18, 50))
            heard(w, 3, days=(2, 20), name="other")
        case "nobody reads":
            traffic(w, way, 180, (0.5, 29))
            for day, trace in w.traces[4:20]:
                w.score(day - 0.1, trace, "thumbs", True, "user:5")
                w.score(day - 0.1, trace, "fits", True, "scorer:length")
            w.plant("people.no-review")
        case "only the machine reads":
            traffic(w, way, 140, (0.5, 29))
            for day, trace in w.traces[4:40]:
                w.score(day - 0.1, trace, "ok", True, "judge:ok@1")
            w.plant("people.no-review")
            w.plant("feedback.uncalibrated-judge", "ok")
        case _:
            raise ValueError(case)


def release(w: World, case: str) -> None:
    text, more = ("# system\n" + "\n".join(bank(w.lang)[a:b]) + USER for a, b in ((0, 6), (2, 9)))
    traffic(w, Way(("genai", "vercel", "oi", "tl")[w.seed % 4], "desk", "music"), 40)
    heard(w)
    w.prompt("desk", more)
    w.version(40, "desk", text)
    w.version(30, "desk", more)
    one, approve = "prompt:desk@2", ("approval", "yes")
    match case:
        case "by its author":
            w.alias(20, "desk@production", one)
            w.score(19, one, "seen", True, "person:tom.hale")
            w.plant("people.no-approval", "desk")
        case "by the pipeline, approved by its author":
            w.score(21, one, *approve, "person:ines.vega")
            w.alias(20, "desk@prod", one, "service:ci")
            w.score(18, one, "seen", "yes", "person:rui.matos")
            w.plant("people.no-approval", "desk")
        case "by the pipeline, approved for the version before":
            w.score(39, "prompt:desk@1", *approve, "person:tom.hale")
            w.alias(38, "desk@live", "prompt:desk@1", "service:ci")
            w.alias(20, "desk@live", one, "service:ci")
            w.score(18, one, "seen", "yes", "person:rui.matos")
            w.plant("people.no-approval", "desk")
        case "nobody knows":  # seen by one who knows the version before
            w.score(31, "prompt:desk@1", "seen", True, "person:rui.matos")
            w.alias(20, "desk@production", one, "person:tom.hale")
            w.plant("people.unseen-release", "desk")
        case "approved and released by the pipeline":  # near misses from here on
            w.score(21, one, *approve, "person:tom.hale")
            w.alias(20, "desk@production", one, "service:ci")
        case "released by another":
            w.alias(20, "desk@production", one, "person:rui.matos")
        case "only a test stage":
            w.alias(20, "desk@staging", one)
            w.alias(19, "desk@dev", one, "service:ci")
        case "new":
            w.score(5, one, *approve, "person:tom.hale")
            w.alias(3, "desk@production", one)
        case "asked and left":
            w.score(12, one, "question", "Who pays for the taxi?", "person:rui.matos", id="q1")
            w.plant("people.unanswered-question", "desk")
        case "asked about an answer, in the reason":
            day, trace = next(one for one in w.traces if one[0] > 9)
            w.score(day - 1, trace, "question", None, "person:tom.hale", "Is this still our price?", id="q1")
            w.plant("people.unanswered-question", trace)
        case "one of two answered":
            for i, day in enumerate((20, 10)):
                w.score(day, one, "question", f"May we say this {i}?", "person:rui.matos", id=f"q{i}")
            w.score(15, "q0", "answer", "Yes.", "person:ines.vega")
            w.plant("people.unanswered-question", "desk")
        case "asked and answered":  # near misses
            w.score(20, one, "question", "May we say this?", "person:rui.matos", id="q0")
            w.score(12, "q0", "answer", "Yes.", "person:ines.vega")
            w.score(3, one, "question", "And this?", "person:rui.matos", id="q1")
        case _:
            raise ValueError(case)


def pipeline(w: World, case: str) -> None:
    way = Way(("genai", "oi", "tl", "vercel")[w.seed % 4], "desk", "music")
    look = Tool("find_score", "Finds the score of a piece of music by composer and title.", "composer title", owner="core")  # fmt: skip
    calls, steps = [Call("find_score", {"composer": "Bach", "title": "Air"})], [("parse", 0.1, False)]
    match case:
        case "half of the time":
            traffic(w, replace(way, gap=1.4, llm=0.9))
            w.plant("pipeline.untraced-time", "desk|ai.generateText")
        case "some requests only":  # near miss: one request in ten is slow for no reason; the typical one is not
            for i in range(6):
                traffic(w, replace(way, gap=3.0 if i == 5 else 0.1), 10)
        case "short":  # near miss: two fifths, but of a third of a second
            traffic(w, replace(way, gap=0.2, llm=0.25))
        case "beside the model":  # near miss: two things at the same time
            traffic(w, way, steps=[("fetch", 1.5, True), *steps])
        case "no content":
            traffic(w, replace(way, content=False))
            w.plant("pipeline.empty-span")
        case "content of one half":
            traffic(w, replace(way, content=False), 40)
            traffic(w, way, 26)
            w.plant("pipeline.empty-span")
        case "content of most":  # near miss
            traffic(w, replace(way, content=False), 12)
            traffic(w, way, 50)
        case "no version":
            traffic(w, replace(way, version=None, prompt=None))
            w.plant("pipeline.missing-version")
        case "no version of one service":
            traffic(w, way, 40)
            traffic(w, replace(way, version=None, prompt=None, service="mailer", agent="mail"), 30)
            w.plant("pipeline.missing-version")
        case "a code version, no prompt":  # near miss
            traffic(w, replace(way, prompt=None))
        case "lost parents":
            traffic(w, replace(way, orphan=True), 30)
            traffic(w, way, 30)
            w.plant("pipeline.broken-context")
        case "one lost":  # near miss: one in sixty
            traffic(w, replace(way, orphan=True), 1)
            traffic(w, way, 60)
        case "below a gateway":  # near miss
            traffic(w, replace(way, outer=True))
        case "a model without a price":
            traffic(w, replace(way, model="house-model-7b", tokens=(700, 90)))
            w.plant("pipeline.unpriced", "house-model-7b|desk")
        case "a model without a price, sometimes":
            traffic(w, replace(way, model="tuned:ft-9", tokens=(700, 90)), 12)
            traffic(w, way, 50)
            w.plant("pipeline.unpriced", "tuned:ft-9|desk")
        case "its own cost":  # near miss: nobody lists it, the spans say it
            traffic(w, replace(way, model="house-model-7b", tokens=(700, 90), cost=0.0004))
        case "a service below":
            for trace in traffic(w, way, 30):
                below = replace(way, agent="ledger", service="ledger", parent=(trace, w.roots[trace]))
                w.request(5, below, w.fill(ASK[w.lang][0]), w.fill(SAY[w.lang]))
            w.config["consumers"] = [{"name": "app", "uses": ["other"], "owner": "core"}]
        case "tools that are fine":  # near miss: eight tools, one slow once, one failing twice
            for i in range(30):
                w.request(1 + i * 0.9, way, w.fill(ASK[w.lang][i % 8]), w.fill(SAY[w.lang]), [look], [replace(calls[0], seconds=9.0 if i == 3 else 0.2, error="timeout" if i in (4, 9) else None)], steps)  # fmt: skip
            w.tools["find_score"] = look
        case _:
            raise ValueError(case)
    heard(w)


_FEEDBACK = [
    ("one reader", "one reader on spans, another once"), ("two readers", "nine by one"), ("one reader, and judges and users", "one reader"),
    ("judge alone", "judge beside people"), ("judge beside people", "judge alone"), ("judge held against spans", "enough"), ("hardly any", "old"),
    ("old", "hardly any"), ("three weeks old", "labels, a dozen"), ("complaints", "a complaint in words"), ("a complaint in words", "complaints"),
    ("complaints that were seen", "complaints that were seen"), ("labels on the shelf", "labels on the shelf"), ("nobody reads", "only the machine reads"),
    ("one reader on spans, another once", "one reader, and judges and users"), ("only the machine reads", "nobody reads"),
]  # fmt: skip
_RELEASE = [
    ("by its author", "by the pipeline, approved by its author"), ("by the pipeline, approved for the version before", "by its author"),
    ("nobody knows", "approved and released by the pipeline"), ("released by another", "new"), ("only a test stage", "released by another"),
    ("asked and left", "asked about an answer, in the reason"), ("one of two answered", "asked and left"), ("asked and answered", "asked and answered"),
    ("by the pipeline, approved by its author", "by the pipeline, approved for the version before"), ("asked about an answer, in the reason", "one of two answered"),
]  # fmt: skip
_PIPELINE = [
    ("half of the time", "half of the time"), ("some requests only", "short"), ("beside the model", "tools that are fine"), ("no content", "content of one half"),
    ("content of most", "content of most"), ("no version", "no version of one service"), ("a code version, no prompt", "below a gateway"), ("lost parents", "lost parents"),
    ("one lost", "its own cost"), ("a model without a price", "a model without a price, sometimes"), ("no version of one service", "no version"),
    ("a model without a price, sometimes", "a model without a price"), ("content of one half", "no content"), ("tools that are fine", "beside the model"),
]  # fmt: skip
_GROWS = [
    ([("growth", "more and other words"), ("append-only", "end")], ["cut back", "three"]),
    ([("growth", "one line at a time, reworded"), ("append-only", "in between")], ["little", "tidied"]),
    ([("growth", "longer lines"), ("append-only growth", "end, with one typing error mended")], ["cut back", "tidied"]),
    ([("growth", "more and other words"), ("append-only", "end, reformatted")], ["three", "little"]),
]


def worlds(half: int) -> Iterator[World]:
    """The small projects of the first half (0: looked at) or of the second (1: counted)."""
    langs = ("en", "pt", "es")
    for about, make, cases in (("feedback", feedback, _FEEDBACK), ("release", release, _RELEASE), ("pipeline", pipeline, _PIPELINE)):  # fmt: skip
        for i, case in enumerate(cases):
            w = World(f"{about}{i}-{half}", 100 * half + i, langs[(i + half) % 3])
            make(w, case[half])
            yield w
    for i in range(len(_GROWS)):
        w = World(f"grows{i}-{half}", 300 + 10 * half + i, langs[(i + half) % 3])
        planted, near = _GROWS[(i + half) % len(_GROWS)]
        grows(w.lang, planted, near)(w)
        yield w
