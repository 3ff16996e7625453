"""Words of the stranger's worlds: tools of an office in three languages, what people ask, and sentences of prompts."""

from __future__ import annotations

from stranger_kit import Tool

_OFFICE = {
    "en": """
book_meeting_room|Reserves a meeting room for a day and a number of people.|day people:integer|Book us a room on {day}
print_visitor_badge|Prints the badge of a visitor who is expected at the gate.|visitor day|Make a visitor badge for {who}
canteen_menu|Tells what the canteen serves on a day.|day|What is for lunch on {day}?
request_parking|Asks for a parking space for one day.|plate day|I need to park my car on {day}
report_broken_lamp|Tells the caretaker of a lamp that no longer works.|floor:integer lamp|The lamp {n} on my floor is dark
reset_password|Sends somebody a link to choose a new password.|login|I forgot my password, login {n}
expense_status|Says whether an expense claim has been paid.|claim|Has my expense claim {n} been paid?
payslip_copy|Sends the payslip of a month as a file.|person month|Send me my payslip of last month
holiday_calendar|Lists the public holidays of a country in a year.|country year:integer|Which public holidays are there in {place}?
sick_note|Records that somebody is ill, with the doctor's certificate.|person certificate|I am ill today, certificate {n}
training_catalogue|Lists courses that employees may attend.|subject|Which courses about safety are there?
translate_letter|Translates a letter into another language.|text language|Translate my letter {n} to Italian
exchange_rate|Gives the rate between two currencies on a day.|base quote|How many euro is a pound today?
train_timetable|Lists trains between two stations.|origin destination day|Trains to {place} on {day}?
courier_pickup|Orders a courier to fetch a package from an office.|office weight:integer|A courier should fetch {n} grams here
archive_contract|Files a signed contract in the archive.|contract party|File the signed contract with {who}
invoice_lookup|Shows the amount and date of an invoice.|invoice|What does invoice {n} come to?
desk_plan|Shows who sits at which desk.|floor:integer|Who sits on the third floor?
plant_watering|Plans when the plants of a floor get water.|floor:integer|Who waters the plants this week?
blood_donation|Signs somebody up for the day of blood donation.|person|I would like to give blood
library_loan|Borrows a technical book for somebody.|title person|Borrow the handbook on welding for {who}
noise_complaint|Passes on a complaint about noise to the neighbours.|text|The neighbours are too loud again
software_licence|Assigns a licence of a program to a person.|program person|{who} needs a licence of the drawing program
server_status|Says whether an internal server answers.|host|Is host web{n} alive?
phone_directory|Gives the extension of a colleague.|person|What is the extension of {who}?
photo_consent|Records whether somebody may be photographed.|person consent:boolean|I do not want to be photographed
""",
    "pt": """
reservar_sala|Reserva uma sala de reuniões para um dia.|dia pessoas:integer|Reserva uma sala para dia {day}
ementa_cantina|Diz o que a cantina serve num dia.|dia|Qual é o almoço de {day}?
lugar_estacionamento|Pede um lugar de estacionamento para um dia.|matricula dia|Preciso de estacionar a {day}
avaria_elevador|Comunica ao porteiro um elevador parado.|edificio|O elevador do edifício {n} parou
nova_senha|Envia uma ligação para escolher outra senha.|utilizador|Esqueci-me da senha, utilizador {n}
estado_despesa|Diz se uma nota de despesa foi paga.|nota|A nota de despesa {n} já foi paga?
recibo_vencimento|Envia o recibo de vencimento de um mês.|pessoa mes|Manda o meu recibo do mês passado
feriados|Lista os feriados de um município.|municipio|Que feriados há em {place}?
baixa_medica|Regista uma baixa com o atestado do médico.|pessoa atestado|Estou doente, atestado {n}
formacoes|Lista cursos que os trabalhadores podem frequentar.|tema|Que cursos de segurança existem?
traduzir_carta|Traduz uma carta para outra língua.|texto lingua|Traduz a carta {n} para italiano
taxa_cambio|Dá a taxa entre duas moedas.|de para|Quantos euros vale uma libra?
horario_comboio|Lista comboios entre duas estações.|origem destino|Comboios para {place} a {day}?
chamar_estafeta|Pede um estafeta que leve uma caixa.|morada peso:integer|Um estafeta para levar {n} gramas
arquivar_contrato|Guarda no arquivo um contrato assinado.|contrato parte|Arquiva o contrato com {who}
ver_fatura|Mostra o valor de uma fatura.|fatura|Quanto é a fatura {n}?
planta_mesas|Mostra quem se senta em cada mesa.|piso:integer|Quem se senta no terceiro piso?
regar_plantas|Planeia quando as plantas recebem água.|piso:integer|Quem rega as plantas?
dar_sangue|Inscreve alguém no dia da dádiva de sangue.|pessoa|Quero dar sangue
emprestar_livro|Empresta um livro técnico a alguém.|titulo pessoa|Empresta o manual de soldadura a {who}
queixa_ruido|Transmite aos vizinhos uma queixa de barulho.|texto|Os vizinhos fazem barulho
licenca_programa|Atribui a alguém a licença de um programa.|programa pessoa|{who} precisa do programa de desenho
extensao_telefone|Dá a extensão telefónica de um colega.|pessoa|Qual é a extensão de {who}?
autorizar_foto|Regista se alguém pode ser fotografado.|pessoa aceita:boolean|Não quero ser fotografada
""",
    "es": """
reservar_sala|Reserva una sala de reuniones para un día.|dia personas:integer|Reserva una sala para el {day}
menu_comedor|Dice qué se come en el comedor un día.|dia|¿Qué hay de comer el {day}?
plaza_aparcamiento|Pide una plaza de aparcamiento para un día.|matricula dia|Necesito aparcar el {day}
ascensor_parado|Avisa al conserje de un ascensor que no anda.|edificio|El ascensor del edificio {n} no anda
nueva_clave|Envía un enlace para elegir otra contraseña.|usuario|Olvidé mi contraseña, usuario {n}
estado_gasto|Dice si una hoja de gastos está pagada.|hoja|¿Está pagada mi hoja de gastos {n}?
nomina_mes|Envía la nómina de un mes.|persona mes|Mándame la nómina del mes pasado
festivos|Lista los días festivos de un municipio.|municipio|¿Qué festivos hay en {place}?
baja_medica|Registra una baja con el parte del médico.|persona parte|Estoy enferma, parte {n}
cursos_formacion|Lista cursos que puede hacer la plantilla.|tema|¿Qué cursos de seguridad hay?
traducir_carta|Traduce una carta a otro idioma.|texto idioma|Traduce la carta {n} al italiano
cambio_divisas|Da el cambio entre dos monedas.|de a|¿Cuántos euros vale una libra?
horario_tren|Lista trenes entre dos estaciones.|origen destino|¿Trenes a {place} el {day}?
pedir_mensajero|Pide un mensajero que lleve una caja.|direccion peso:integer|Un mensajero para llevar {n} gramos
archivar_contrato|Guarda en el archivo un contrato firmado.|contrato parte|Archiva el contrato con {who}
importe_factura|Muestra el importe de una factura.|factura|¿A cuánto sube la factura {n}?
plano_mesas|Muestra quién se sienta en cada mesa.|planta:integer|¿Quién se sienta en la tercera planta?
regar_plantas|Planea cuándo reciben agua las plantas.|planta:integer|¿Quién riega las plantas?
donar_sangre|Apunta a alguien al día de donación de sangre.|persona|Quiero donar sangre
prestar_libro|Presta a alguien un libro técnico.|titulo persona|Presta el manual de soldadura a {who}
queja_ruido|Pasa a los vecinos una queja por ruido.|texto|Los vecinos hacen ruido
licencia_programa|Asigna a alguien la licencia de un programa.|programa persona|{who} necesita el programa de dibujo
extension_telefono|Da la extensión telefónica de un compañero.|persona|¿Cuál es la extensión de {who}?
permiso_foto|Registra si alguien puede salir en fotos.|persona acepta:boolean|No quiero salir en fotos
""",
}

# per language and trade: what people ask, each as ways to put it; the last is how an evaluation row puts it
ASKED = {
    ("en", "bikes"): {
        "rent": ["How do I rent a bike in {place}?", "I want to hire a bicycle for {day}", "Can I take out a bike near {place}?", "How does one rent a bicycle?"],
        "broken": ["The chain of bike {n} fell off", "My bike {n} has a flat tyre, what now?", "Bike {n} brakes badly", "The bicycle has a flat tyre"],
        "price": ["What does an hour cost?", "How much is a day ticket in {place}?", "Price of a monthly pass?", "What does a day ticket cost?"],
        "charge": ["You charged me twice for ride {n}", "There is a double payment on my card for trip {n}", "I was billed two times for ride {n}", "I paid twice for one ride"],
        "insurance": ["Am I insured when I crash with a rented bike?", "Does the insurance pay for an accident on trip {n}?", "Who pays the hospital if I fall, are we insured?", "Am I insured in an accident?"],
    },
    ("en", "garden"): {
        "seeds": ["When do I sow tomatoes in {place}?", "Is {day} too early to sow beans?", "What month is right for sowing carrots?", "When are tomatoes sown?"],
        "pests": ["There are snails on my lettuce", "Green lice cover my roses, help", "Something eats the leaves of my cabbage", "Lice sit on the roses"],
        "tools": ["Which spade is good for clay?", "Do you sell a light hedge trimmer?", "I look for secateurs for small hands", "Which spade should I buy?"],
        "delivery": ["When does order {n} get here?", "My delivery {n} is late", "Has parcel {n} been sent yet?", "When is my order delivered?"],
        "warranty": ["The mower {n} stopped within the guarantee period", "Is the warranty of my trimmer still valid?", "Guarantee claim for device {n}", "Is my mower still under guarantee?"],
    },
    ("pt", "padaria"): {
        "horas": ["A que horas abrem em {place}?", "Estão abertos no dia {day}?", "Até que horas posso passar na loja?", "Qual é o horário da loja?"],
        "bolo": ["Quero encomendar um bolo para {day}", "Fazem bolos de aniversário para {who}?", "Podem fazer um bolo de três andares?", "Como encomendo um bolo de aniversário?"],
        "alergia": ["O pão de centeio leva nozes?", "Sou alérgica a ovos, o que posso comer?", "Que produtos não têm leite?", "O que posso comer sendo alérgico a ovos?"],
        "troco": ["Cobraram-me duas vezes o talão {n}", "O talão {n} tem um valor errado", "Paguei a mais na compra {n}", "O valor do meu talão está errado"],
        "emprego": ["Estão a contratar padeiros em {place}?", "Como envio o meu currículo?", "Há vagas de emprego para a loja?", "Como me candidato a um emprego?"],
    },
    ("pt", "ginasio"): {
        "aulas": ["Há aula de ioga no dia {day}?", "Quando é a próxima aula de natação?", "Que aulas há em {place} à noite?", "Quando há aulas de ioga?"],
        "quota": ["A quota deste mês foi cobrada duas vezes", "Porque pago {n} de quota?", "Quero mudar o pagamento da quota", "Porque subiu a minha quota?"],
        "lesao": ["Dói-me o joelho depois da corrida", "Magoei as costas, posso treinar?", "Que exercícios faço com o ombro magoado?", "Posso treinar com uma lesão?"],
        "cacifo": ["Perdi a chave do cacifo {n}", "O cacifo {n} não abre", "Posso alugar um cacifo?", "O meu cacifo não abre"],
        "sair": ["Quero cancelar a inscrição", "Como deixo de ser sócio?", "Vou mudar-me para {place}, cancelem o meu contrato", "Como cancelo a inscrição?"],
    },
    ("es", "taller"): {
        "cita": ["Quiero cita para revisar el coche el {day}", "¿Tienen hueco para una revisión?", "¿Puedo llevar el coche el {day}?", "¿Cómo pido cita para la revisión?"],
        "presupuesto": ["¿Cuánto cuesta cambiar las pastillas de freno?", "Precio de cuatro neumáticos", "Presupuesto para pintar la puerta", "¿Cuánto vale cambiar los frenos?"],
        "listo": ["¿Está listo mi coche, orden {n}?", "¿Cuándo recojo el coche de la orden {n}?", "¿Ya terminaron con mi coche {n}?", "¿Está terminado mi coche?"],
        "grua": ["Me he quedado tirado en {place}", "Necesito una grúa, el coche no arranca", "Manden una grúa a {place}", "Mi coche no arranca y necesito una grúa"],
        "itv": ["¿Pasan ustedes la ITV?", "La ITV de mi coche caduca el {day}", "¿Qué miran en la inspección técnica?", "¿Cuándo toca la inspección técnica?"],
    },
    ("es", "biblioteca"): {
        "carne": ["¿Cómo saco el carné de socio?", "Quiero hacerme socio en {place}", "Perdí el carné {n}", "¿Cómo consigo el carné?"],
        "prestamo": ["¿Puedo renovar el préstamo {n}?", "¿Cuántos libros puedo llevarme?", "Quiero prorrogar los libros que tengo", "¿Cómo renuevo un préstamo?"],
        "sala": ["¿Hay salas de estudio el {day}?", "Quiero reservar una sala para grupo", "¿Está libre la sala {n}?", "¿Cómo reservo una sala de estudio?"],
        "multa": ["¿Por qué tengo una multa de {n}?", "No he devuelto tarde el libro y me multan", "Quítenme la sanción {n}", "¿Por qué me han multado?"],
        "donar": ["¿Aceptan libros donados?", "Quiero donar la colección de mi abuela", "Tengo cajas de libros para regalarles", "¿Puedo donar libros?"],
    },
}  # fmt: skip

_LINES = {
    "en": (
        "When somebody mentions {0}, answer from section {1} of the manual and name the {2} in the first sentence.",
        (
            "parcels vouchers allergies refunds insurance deposits upgrades complaints invoices warranties appointments passports luggage pensions "
            "leases tariffs meters outages passwords donations scholarships visas vaccines tyres roofs orchards ferries museums archives kitchens"
        ),
        "office deadline form price country person contact",
    ),
    "pt": (
        "Quando alguém falar de {0}, responde pelo capítulo {1} do manual e diz logo {2}.",
        (
            "encomendas vales alergias reembolsos seguros depósitos reclamações faturas garantias marcações passaportes bagagens pensões arrendamentos "
            "tarifas contadores avarias senhas donativos bolsas vistos vacinas pneus telhados pomares barcos museus arquivos cozinhas jardins"
        ),
        "o-prazo a-morada o-preço o-impresso o-contacto o-país a-pessoa",
    ),
    "es": (
        "Cuando alguien hable de {0}, responde según el capítulo {1} del manual y di primero {2}.",
        (
            "envíos vales alergias reembolsos seguros depósitos reclamaciones facturas garantías citas pasaportes maletas pensiones alquileres tarifas "
            "contadores averías claves donativos becas visados vacunas neumáticos tejados huertos barcos museos archivos cocinas jardines"
        ),
        "el-plazo la-dirección el-precio el-impreso el-contacto el-país la-persona",
    ),
}


def office(lang: str, count: int, calls: int = 3) -> list[Tool]:
    """So many tools of an office, each for something else."""
    made: list[Tool] = []
    for line in _OFFICE[lang].strip().splitlines()[:count]:
        name, description, params, ask = line.split("|")
        made.append(Tool(name, description, params, (ask,), calls=calls))
    return made


def lines(lang: str, count: int, first: int = 0) -> list[str]:
    """So many instructions, each of its own subject, about 30 tokens a line."""
    form, subjects, named = _LINES[lang]
    words, names = subjects.split(), named.split()
    return [
        "- " + form.format(words[i % len(words)] + (f" {i // len(words) + 1}" if i >= len(words) else ""), 3 + i * 7 % 90, names[i % len(names)].replace("-", " "))
        for i in range(first, first + count)
    ]  # fmt: skip
