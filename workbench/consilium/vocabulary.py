"""What speaks for a role, for a tool or for a debate, in English and in Russian.

Literal tables. CONCEPTS are words of one meaning in both languages; phrases name them
in capitals, so that such a phrase speaks both languages or none. A phrase that
`decides` is enough alone; one that `hints` wants a second hint beside it, or what was
learned from examples. How phrases are written stands in words.py. All was written from
what the field calls its things, and mended on the tasks of examples.jsonl alone. A noun
whose bare form the Russian stemmer takes for a verb stands in two forms
("коммит|коммита").
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Cues:
    """What speaks for one choice."""

    decides: tuple[str, ...]
    hints: tuple[str, ...] = ()


CONCEPTS: dict[str, str] = {
    "LOOK": """
        look read open view check review inspect examine audit study scan browse dig go_through
        go_over peek see summarise summarize
        посмотри посмотреть смотри глянь взгляни загляни прочитай прочти открой проверь просмотри
        изучи пролистай поройся разбери перескажи читать просмотреть осмотри осмотреть заглянуть
        взглянуть проверяй перечитай зачитай прошерсти изучай
    """,
    "SHOW": """
        show list give tell display print name count get pull fetch extract select find search
        report which how_many how_much whether
        покажи показать выведи дай назови перечисли скажи посчитай сосчитай достань вытащи выбери
        найди найти поищи выгрузи отбери выпиши приведи сколько узнай вывести назвать сказать
        сообщи подскажи достать отыщи выдай распечатай отобрази определи выясни
    """,
    "CHANGE": """
        fix correct repair change replace add update bump edit modify insert switch convert
        rewrite adapt adjust improve clean extend reduce increase enlarge shrink lower raise mask
        hide enable disable swap teach cover drop make speed_up encrypt limit clamp turn introduce
        wrap shorten sort_out get_rid
        переключи исправь почини чини поправь пофикси измени замени добавь обнови подними правь
        переделай увеличь уменьши замаскируй спрячь включи отключи выключи сделай поставь перенеси
        вынеси перепиши расширь научи покрой выкинь пропиши впиши вставь выставь допиши доработай
        сдвинь введи ускорь захешируй зашифруй ограничь подставляй оберни улучши заменяй добавляй
        перевести сведи экранируй настрой перестрой доделай упрости объедини вынь подставь пометь
    """,
    "FIX": """
        fix correct repair patch debug sort_out
        исправь почини чини поправь пофикси устрани отладь разберись исправляй разобраться наладь
        залатай
    """,
    "RUN": """
        run rerun execute
        запусти прогони прогнать прогоняй выполни гонять запускай погоняй выполняй исполни
    """,
    "WRITE": """
        write draft compose prepare design plan list define think give describe suggest propose
        draw
        напиши написать составь придумай перечисли набросай подготовь опиши распиши предложи
        оформи сформулируй запиши нужны пиши составьте спланируй распланируй продумай
        сформулировать нарисуй
    """,
    "BROKE": """
        crash break broke stop die hang kill reboot restart disconnect lost offline
        упал падает рухнул сломался отвалился завис умер остановился перезагрузился отключился
        отключался пропал пропадала потерял оборвался завершился тормозит упасть отказал ломается
        умирает зависает зависла перезагрузка отключение обрыв обрыва молчит
    """,
    "WHEN": """
        yesterday today night morning evening noon hour week month minute monday tuesday wednesday
        thursday friday saturday sunday when
        вчера вчерашний сегодня ночью ночной утро вечер прошлый час неделя месяц минута
        понедельник вторник среду четверг пятница суббота воскресенье когда днем полдень полночь
        рассвет суток выходные
    """,
    "TEST": """
        test suite pytest jest spec autotest
        тест автотест юнит_тест проверки тестовый
    """,
    "CODE": """
        code function method class module parser script program algorithm variable endpoint
        код функция метод класс модуль парсер скрипт программа алгоритм переменная обработчик
        функционал компонент читалка конвертер
    """,
    "FAULT": """
        bug error typo crash exception defect fault traceback
        баг ошибка опечатка падение исключение дефект сбой неисправность неполадка глюк косяк
        поломка расхождение
    """,
    "LOG": """
        log logfile
        лог журнал журнале протокол
    """,
    "DOCS": """
        handbook manual guide guideline docs documentation notes policy wiki procedure datasheet
        specification instructions
        справочник руководство инструкция документация заметки политика вики регламент методичка
        мануал спецификация документы бумаги стайлгайд методика памятка
    """,
    "SAY": """
        say mention recommend state contain according
        сказано написано указано говорится упомянуто рекомендовано советует гласит пишет пишут
        рекомендует требует указывает положено
    """,
    "OUR": """
        our my internal company lab team
        наш мой внутренний лаборатория компания команда свой фирма организация
    """,
    "FAULTY": """
        wrong broken never fails incorrect drops ignores forgets chokes doesn instead missing
        twice
        неправильно неверно падает съедает забывает игнорирует ломается никогда вместо дважды
        пропускает теряет путает зря сломан
    """,
    "RECORDS": """
        customer client invoice member subscriber patient supplier employee student payment
        delivery revenue stock purchase
        клиент заказ подписчик пациент поставщик сотрудник студент платеж доставка выручка остаток
        покупатель покупка заявка бронирование товар накладная отправление продажа договор
        поставка запись отделение
    """,
    "QUERY": """
        how_many count list which show select pull fetch
        сколько посчитай сосчитай выведи назови покажи достань вытащи выбери выгрузи выпиши
        перечисли найди отбери
    """,
    "MOST": """
        top best largest biggest oldest newest latest cheapest average median total sum fewest
        самый лучший крупнейший старый дорогой дешевый средний медианный сумма топ хуже наибольший
        наименьший максимум минимум
    """,
    "MACHINE": """
        machine computer laptop pc box server workstation hardware
        машина компьютер ноутбук ноут сервер железо комп хост узел десктоп станция
    """,
    "RESOURCE": """
        memory ram disk cpu processor gpu vram
        память диск процессор видеокарта оперативка видеопамять оперативный озу цпу гпу накопитель
        винчестер памяти
    """,
    "ENOUGH": """
        free left enough room full fit used taken handle cope available run_out ran_out much warm
        свободно осталось хватит хватает влезет поместится занято потянет справится кончиться
        закончилась доступно сколько горячий влезть вместится занят греется нагружен загружен
        найдется
    """,
    "PEOPLE": """
        people user customer visitor client colleague reader shopper mother father parents grandma
        люди пользователь клиент посетитель покупатель читатель мама папа бабушка дедушка коллега
        юзер водитель врач сотрудник старик ребенок дети родители зритель
    """,
    "STRUGGLE": """
        confuse confusing lost struggle find understand reach notice abandon complain annoy
        overlook tell_apart stuck give_up
        понимать найти находить разглядеть различать путаться теряться сбивать жаловаться
        раздражать бесить замечать дотянуться нажать нажимать прочитать понять запутались жалуются
        попасть бояться боятся бросать застревать застрял мучиться
    """,
    "SCREEN": """
        screen button dialog menu app icon modal popup pop_up banner window label checkout timer
        form page link heading
        экран кнопка окно меню приложение иконка баннер подпись фильтр крестик уведомление таймер
        форма страница ссылка заголовок корзина вкладка панель шапка диалог карточка шторка
        лендинг
    """,
    "NICER": """
        clearer clear easier easy friendlier simple convenient comfortable readable helpful bigger
        nicer understandable scary intuitive
        понятный удобный проще легче крупнее заметнее дружелюбный читаемость человечески ясно
        простой легко читаемый читабельный красивее приятнее
    """,
    "TECH": """
        database framework queue broker stack technology language library storage cloud protocol
        база фреймворк очередь брокер стек технология библиотека хранилище облако протокол субд
        движок кэш инструмент
    """,
    "PART": """
        service module component system layer core plugin backend frontend subsystem
        сервис модуль компонент система слой ядро плагин бэкенд фронтенд подсистема блок
        микросервис серверная клиентская
    """,
    "FOUND": """
        google bing yandex search_engine search serp
        гугл яндекс поиск поисковик выдача поисковый роботы искать ищут
    """,
    "SITE": """
        site page blog landing shop domain article category product
        сайт страница блог лендинг магазин домен статья категория карточка страничка раздел портал
    """,
    "SECRET": """
        password token secret credential certificate key pin passphrase
        пароль токен секрет сертификат ключ пин_код пинкод
    """,
    "STRANGER": """
        stranger anyone anybody outsider former researcher unknown
        чужой посторонний бывший уволенный незнакомый исследователь кто_угодно незнакомец чужак
        злоумышленник сторонний аноним
    """,
    "ACCESS": """
        access read see open call view reach log_in get
        доступ прочитать увидеть увидит видит открыть вызвать войти зайти добраться видеть
        смотреть открывать попасть войдет заходит проникнуть получить
    """,
    "PERSONAL": """
        phone email passport cv card
        телефон почта паспорт резюме фамилия
    """,
    "ENGINE": """
        boost fuel ignition spark timing torque wastegate lambda engine rpm
        наддув топливо топливный зажигание опережение момент впрыск лямбда двигатель нагрузка
        обороты давление смесь целевой ограничение детонация вестгейт мотор дроссель
    """,
}


def _list(text: str) -> tuple[str, ...]:
    """Phrases with a comma between them, concepts spelled out."""
    return tuple(_with_concepts(" ".join(phrase.split())) for phrase in text.split(","))


def _with_concepts(phrase: str) -> str:
    """The phrase with the words of each concept in place of its name."""
    return " ".join(
        "|".join(
            "|".join(CONCEPTS[word].split()) if word in CONCEPTS else word for word in alternatives
        )
        for alternatives in (slot.split("|") for slot in phrase.split())
    )


_RUN_TESTS = _list("""
    RUN TEST|regression, TEST pass|green|status|fine, ensure|sure|must|still|verify TEST|pass,
    they run|pass, show|prove pass|green, build|pipeline|ci green|red|passing,
    LOOK TEST fine|pass|green,
    RUN TEST|регресс, TEST зеленый|проходить|проходят|пройти|прошли|порядок|сломаться|сломались,
    убедись|убедиться|докажи TEST, сборка|пайплайн зеленый|красный|проходить, они проходят
""")

ROLE_CUES: dict[str, Cues] = {
    "dev": Cues(
        decides=_list("""
            FIX CODE|FAULT, write|implement|rename|move|extract CODE|feature, refactor, debug,
            explain|understand CODE|snippet, where CODE, complexity, stack_trace, segmentation,
            напиши|реализуй|запрограммируй|перепиши CODE, отрефактори, рефакторинг,
            объясни|поясни CODE, где|изменить код, сложность сортировка|алгоритм
        """),
        hints=_list("CODE, commit_message, developer, разработчик"),
    ),
    "security": Cues(
        decides=_list("""
            security, secure, insecure, vulnerable, vulnerability, cve, exploit, attack, attacker,
            intruder, hacker, hack, threat, malware, ransomware, phishing, spoof, tamper, forge,
            impersonate, backdoor, spyware, scam, fraud, blackmail, eavesdrop,
            injection code|attack|prompt|command|input|script, sql_injection, xss, csrf, ssrf,
            rce, cors, path_traversal, directory_traversal, ddos, brute_force, sandbox,
            penetration, pentest, owasp, encrypt, encryption, decrypt, cryptography, md5, sha1,
            bcrypt, tls, mtls, ssl, vpn, two_factor, 2fa, mfa, sso, oauth, jwt, authentication,
            authorization, authorisation, permission, privilege, access_rights, access_control,
            account_takeover, steal, stolen, theft, leak, breach, compromised, revoke, incident,
            privacy, gdpr, compliance, personal_data, sensitive data|information, confidential,
            customer|personal data paste|share|send|leak|upload, untrusted, malicious, suspicious,
            firewall, password, passphrase, pin code|card|banking|bank, credential, secret,
            api_key, private_key, certificate, hash|rotate|expose SECRET,
            store|keep|collect|mask PERSONAL|number|digits,
            other|another user|customer|patient|people see|read|data|invoice,
            session|cookie hijack|stolen|httponly|flag|expire, token storage, STRANGER ACCESS,
            STRANGER can, without signing_in|logging_in|login|authentication|permission|SECRET,
            log_in|login countries|twice|unusual|somebody, require session,
            isolation PART|tenant|partner, audit package|dependency, port open|exposed,
            known hole|holes, root|sudo allow|log_in|access,
            dangerous|danger|risky|safe upload|users|allow|let|open, bank account|pin,
            extension upload, service_account, identity account|agent, log_in number|only,
            lock_out,
            root вход|доступ|разрешает, безопасность, безопасный, безопасник, небезопасный,
            небезопасно, уязвимость, уязвимый, эксплойт, атака, атаковать, злоумышленник, хакер,
            взлом, взломать, угроза, вирус, фишинг, инъекция, подделать, подмена, бэкдор, шантаж,
            мошенник, мошенничество, перехватить, перехват, прослушка, слежка, дыра, дырявый,
            проникновение, пентест, обход каталог, ддос, шифрование, шифровать, зашифровать,
            зашифруй, шифр, перебор, двухфакторка, двухфакторный, впн, фаервол, аутентификация,
            авторизация, права ACCESS|дать|выдать|ограничить|проверка|минимальный, отозвать,
            отзывать, утечка, утечь, утекли, украсть, кража, угон, унести, инцидент,
            скомпрометировать, вредоносный, недоверенный, персональный данные,
            клиент данные вставлять|передавать|отправлять|пересылать, приватность,
            конфиденциальность, конфиденциальный, 152_фз, закон данные, открытый_доступ, пароль,
            пин_код, секрет, сертификат, ключ утечь|утекли|закоммиченный|подпись|api,
            подозрительный, хранить|держать|собирать|маскировать|замаскируй PERSONAL|номер,
            хранение токен, STRANGER ACCESS|данные|счет,
            другой клиент|пользователь|пациент увидит|увидеть|прочитать|данные,
            зашел|вошел|заходил страна|учетка|учеткой, потребуй сессия|вход,
            исследователь нашел|написал|сообщил|говорит, порт открыть|наружу|миру,
            опасно|опасный|безопасно разрешать|загружать|открывать|пускать,
            не войти|войдя|пароля|авторизации ACCESS, учетный запись,
            письмо счет|банк|вложение|реквизиты, расширение загрузка,
            пускать|входить по телефон|номер, экранирование, изоляция, защитить от
        """),
        hints=_list("""
            login, token, access, auth, admin, risk, partner, third_party, stranger, cookie,
            protect, private, session, tenant, safe, abuse, guard, privileged,
            вход, токен, доступ, админ, риск, права, защита, защищен, партнер, подрядчик, чужой,
            посторонний, опасный, сессия, арендатор, логин
        """),
    ),
    "qa": Cues(
        decides=(
            *_RUN_TESTS,
            *_list("""
                test, tester, testing, testability, qa, verification, validate, edge_case,
                corner_case, boundary value, regression, coverage, pin_down,
                now_and_then|sometimes|occasionally FAULT|freeze|happen|fail, acceptance criteria,
                reproduce, repro, flaky, intermittent, property_based, bug_report, test_plan,
                definition_of_done, sign_off, check|checking|verify|try before|staging,
                before ship|release|launch, fuzz, fuzzing, test_data, write|list|missing cases,
                steps FAULT, case go_wrong, nasty|tricky|weird|bad input|data|values,
                try|how break, quality_assurance,
                тест, тест_план, тест_кейс, тестировать, протестировать, протестируй,
                тестирование, тестируемость, тестировщик, тестировщики, граничный, крайний случай,
                регресс, регрессия, регрессионный, приемочный, приемка, воспроизвести,
                воспроизведи, воспроизведение, покрытие тест|код|пакет|модуль|цель|процент,
                автотесты, баг_репорт, дефект, чек_лист, сценарий проверка, WRITE|каких случаи,
                проверять|проверить|проверка|проверь перед|стенд, перед релиз|выкладка|выпуск,
                шаги FAULT, каверзный|гадкий|странный|плохой данные|ввод|входной,
                падения ci|сборка, тестовый, иногда BROKE|зависать|зависает|происходит,
                поймать ошибка, сломать попытаться|попытался|поле|форма,
                измеряем|измерять задание|список
            """),
        ),
        hints=_list("""
            checklist, quality, bug, steps, release, expected, cases, ship, verify, wrong,
            качество, баг, шаги, релиз, ожидаемый, выкладка, выпускать, стенд, сломать
        """),
    ),
    "architect": Cues(
        decides=_list("""
            architecture, architect, architectural, microservice, monolith, event_driven,
            event_sourcing, cqrs, hexagonal, clean_architecture, message broker|queue|bus, kafka,
            rabbitmq, grpc, graphql, kubernetes, serverless, orchestrator, pub_sub, event_bus,
            design|sketch|structure|split|cut|extract|divide|decouple|redesign|rethink
            PART|data|api|schema|processing, separate|own|main|single service|application|process,
            structure|build|boundary|border|interface|contract|dependency|responsibility PART,
            talk|communicate|learn|notify|depend PART, scale PART|horizontally|out, scalability,
            sharding, shard, replicate, replication, failover, high_availability, redundancy,
            data_centre, data_center, single_point, bottleneck, throughput, load_balancer,
            data_flow, data_model, domain_model, entity, coupling, decoupling,
            circular import|dependency, choose|choice|suit|pick|switch|recommend|replace TECH,
            stateless, monorepo, separate|single|shared repo|instance|queue|deployment,
            decision_record, adr, plugin interface|system, tech_stack,
            rewrite framework|scratch|everything, build|write buy, off_the_shelf,
            layer mixed|structure, how_many nodes|servers|instances|replicas,
            divide|spread|distribute work|load|machines, render server|browser|client,
            api public|separate|external|version, cloud move|migrate, idempotency, tenant,
            multi_tenant, legacy replace|rewrite, api_versioning,
            cache|caches consistent|region|layer|strategy, consistency, eventual,
            belongs|belong controller|model|layer|module, time_series TECH,
            store|keep parquet|postgres|influxdb, merge|migrate databases|systems,
            everybody|everyone|all writes|depends, grow|grows outgrow|size|tenfold,
            version format|schema|contract, buy extend|build|ready_made|own, overkill,
            rest grpc|graphql|soap|rpc,
            архитектура, архитектор, архитектурный, микросервис, монолит|монолита, гексагональный,
            брокер, оркестратор, кубернетес,
            устроить|устроен|спроектируй|спроектировать|набросай|разбить|разрезать|вырезать|делить|выделить|развязать|схема
            PART|данные|api|база, отдельный|основной|единый сервис|приложение,
            структура|граница|интерфейс|контракт|зависимость|ответственность|взаимодействие PART,
            узнавать|общаться|уведомлять|зависеть PART, масштабировать, масштабирование,
            масштабируемость, шард, шардирование, репликация, реплицировать, отказоустойчивость,
            дата_центр, резервирование, узкий_место, пропускной_способность, точка_отказа,
            балансировщик, модель данные, поток данные,
            раскидать|распределить|разделить|разнести машина|сервер|нагрузка|работа, связность,
            циклический, выбрать|выбираем|выбор|подойдет|посоветуй|заменить|взять TECH,
            монорепозиторий, плагин интерфейс, переписать фреймворк|нуля|заново|старый,
            писать|свой|самописный|дорабатывать готовый|купить|взять, версионировать,
            слой перемешать|структура, сколько узлов|серверов|реплик, рендерить,
            рендер сервер|браузер, api отдельный|публичный|внешний|версия,
            облако переехать|переезд|миграция, идемпотентность, арендатор, легаси,
            кэш|кеш согласованный|регион|слой|стратегия, согласованность,
            место контроллер|модель|слой, временной_ряд TECH,
            хранить|хранилище parquet|postgres|influxdb|событие,
            слить|объединить|перенести базы|системы|сервисы, все|каждый пишут|зависят,
            вырасти|вырастет|десять_раз нагрузка|пользователь, раз больше пользователь,
            перебор архитектура, проектирование, между сервисами
        """),
        hints=_list("""
            PART|database|cluster|node|framework|база|кластер|фреймворк,
            structure|interface|dependency|design|portal|scale|cost|maintain|shared|структура|интерфейс|зависимость|нагрузка|портал|стоимость|поддержка
        """),
    ),
    "ux": Cues(
        decides=_list("""
            ux, ui, usability, user_experience, user_interface, accessibility, accessible, wcag,
            contrast, screen_reader, assistive_technology, keyboard only|navigate|reach|SCREEN,
            colour_blind, color_blind, microcopy, legible, readable, font, typography, icon,
            onboarding, user_flow, wireframe, mockup, prototype, layout, empty_state, tooltip,
            modal, dialog, popup, pop_up, style_guide, PEOPLE STRUGGLE, confuse, confusing,
            cannot|can|t STRUGGLE SCREEN, NICER SCREEN|wording|use|which,
            comfort|comfortable PEOPLE|use, wording|text|color|colour|place|label|rewrite SCREEN,
            button rule|place|destructive|click,
            text|message|error|tone SCREEN|notification|human|NICER,
            SCREEN small|mobile|phone|rearrange, PEOPLE watch|observe, design people|review,
            say|tell human words, first_impression, touch_target, journey, persona,
            friendly text|message|tone, button|label|icon|font|contrast|spacing FILE, annoy,
            frustrating, elderly, navigation,
            юзабилити, доступность, удобство, удобный, удобнее, неудобный, интуитивный, контраст,
            контрастный, экранный диктор|доступ|чтец, незрячий, слабовидящий, дальтоник,
            формулировка, читаемость, шрифт, палитра, типографика, иконка, отступ, дизайнер,
            дизайн SCREEN, клавиатура SCREEN|ходить|доступ, онбординг, макет, прототип, верстка,
            подсказка, модальный, всплывающий, диалог, навигация, сбивать, запутывать,
            не STRUGGLE кнопка|меню|экран|где, NICER SCREEN|что|пользоваться,
            текст|цвет|место|подпись|формулировка|подписи SCREEN|кнопка,
            текст|тон спрашивать|окно|уведомление|человечески, по_человечески,
            SCREEN узкий|маленький|мобильный|телефон|переставить|поменять,
            PEOPLE пользоваться|пользуются|понаблюдать|уйдет|уйдут, путь пользователь, персона,
            дружелюбный, кнопка|подпись|шрифт|контраст|отступ FILE, раздражать, бесить, пожилой,
            левша, понятный|понятнее
        """),
        hints=_list("""
            button, screen, mobile, click, tap, colour, color, visitor, redesign, menu, suggest,
            user, phone, dark_mode, theme, designer,
            кнопка, экран, мобильный, нажать, нажимать, цвет, посетитель, редизайн, пользователь,
            телефон, тема, меню, шторка
        """),
    ),
    "seo": Cues(
        decides=_list("""
            seo, search_engine, google, bing, yandex, crawler, crawl, googlebot,
            index|indexed|indexing SITE|FOUND, noindex, nofollow, sitemap, robots, robots_txt,
            meta_description, meta_tag, open_graph, title_tag, canonical, hreflang, redirect 301,
            console FOUND, keyword, backlink, serp, organic traffic, ranking,
            rank SITE|FOUND|it|better, core_web_vitals, structured_data, schema_org, rich_snippet,
            SITE search results|traffic|appears|appear|visible, snippet results|search|click,
            alt image|title, image|video search, title|heading|markup SITE,
            duplicate|same SITE|text|content|description addresses|address|pages|url|google,
            anchor text, internal links,
            сео, поисковик, поисковый, поисковый_выдача, яндекс, гугл, краулер, индексация,
            индексировать, индексирует, вебмастер, карта_сайта, мета_описание, мета_тег,
            описание мета, каноническая, ключевой слово|запрос, семантический_ядро, ссылочный,
            микроразметка, ранжирование, ранжировать, ранжировалось, позиция FOUND|SITE|падать,
            трафик FOUND|органический, сниппет, заголовок|title|description SITE|описание,
            SITE FOUND|выдача|индекс, запрос находить, структурированный данные,
            картинка|видео FOUND, alt картинка|title, перелинковка,
            дубль|одинаковый|один SITE|текст|описание
        """),
        hints=_list("""
            site, traffic, title, blog, landing, domain, heading, visitors, click,
            сайт, трафик, заголовок, блог, посадочный, домен, позиция
        """),
    ),
}

TOOL_CUES: dict[str, Cues] = {
    "get_map": Cues(
        decides=_list("""
            map load|target, boost_target, wastegate_duty,
            map|table|карта|таблица ENGINE, карта нагрузка,
            map|table|карта|таблица cell|axis|breakpoint|ячейка|ось,
            скачок|провал|сгладить|сгладь|пик|ступенька|дырка карта
        """),
        hints=_list("map, карта, rpm, оборотов, cell, ячейка, anomaly, аномалия"),
    ),
    "apply_patch": Cues(
        decides=_list("""
            CHANGE|FIX FILE|CALL, FIX FAULT|CODE|test,
            CHANGE|rename|move function|method|class|variable|module|parser, patch, refactor,
            put|insert guard|markup|tag|attribute|alt|check FILE,
            make it|CODE accept|handle|return|support|raise|keep,
            add token|label|link|tag|field|check|validation|test
            form|profile|template|method|class, use instead FILE|CODE,
            replace|change|move CODE|call|everywhere, smooth patch, change as patch,
            docstring|docstrings|type_hints|докстринг|аннотации FILE|CALL|function|функция,
            migrate|port|переведи TEST|code|код, move|отодвинь|передвинь SCREEN FILE,
            CHANGE|переименуй|переименовать|убери
            функция|метод|класс|переменная|модуль|парсер|вызов, FIX падающий|тест,
            закрой|устрани дыра|уязвимость|xss, патч, отрефактори, рефакторинг,
            CHANGE токен|проверка|поле|тег|разметка|ссылка форма|профиль|шаблон|метод|страница,
            CHANGE код|проект|везде
        """),
        hints=_list("FILE|CALL, diff, правка, CHANGE|FIX|FAULTY"),
    ),
    "search_logs": Cues(
        decides=_list("""
            LOG
            LOOK|SHOW|WHEN|SAY|BROKE|FAULT|anything|group|collect|match|relevant|line|dig|warning|entry|timeline|back,
            LOG server|access|error|drive|sensor|ci|event|audit|controller, BROKE WHEN|why,
            recorded|reported|complain|log before|during|minutes|weekend, BROKE message,
            warning|alarm SHOW|WHEN|every|all, last_thing,
            how_many|how_often|сколько|часто time|раз|FAULT
            error|timeout|warning|exception|ошибка|таймаут|предупреждение|пропадала, лог,
            журнал|журнале, предупреждение SHOW|все|WHEN,
            запись|записи датчик|поездка|заезд|посмотри, успел написать|записать,
            записал|сообщил|жаловалось|жаловался за|минут|WHEN|выходные|до,
            500|502|503 since|WHEN|сыпаться|сыплются|найди
        """),
        hints=_list("LOG, yesterday, вчера, ночью, traceback, deploy, выкатка, BROKE"),
    ),
    "run_tests": Cues(
        decides=_RUN_TESTS,
        hints=_list("TEST, green, red, зеленый, красный, проходят"),
    ),
    "file_operations": Cues(
        decides=_list("""
            read|open|list|find|delete|create|save|copy|move|rename|biggest|largest file, folder,
            directory, subdirectory, file somewhere|project|this,
            LOOK|delete|create|save|copy|list|find|удали|создай|сохрани|запиши|скопируй|перемести|покажи|найди
            FILE, SAY|allow|разрешает FILE,
            прочитай|открой|покажи|найди|удали|создай|сохрани|скопируй|перемести|переименуй|сложи|большой
            файл, папка, каталог src|LOOK|файлы|перенеси|лежит|содержимое|сложи, директория,
            файл где|проект,
            put|move|collect|sort|zip|unpack|archive|rename|сложи|собери|перенеси|распакуй|заархивируй|переименуй
            pdfs|photos|documents|все|pdf|фото|документы, внутри FILE
        """),
        hints=_list("file|FILE|файл, каталог"),
    ),
    "search_knowledge": Cues(
        decides=_list("""
            knowledge_base, handbook, datasheet, style_guide, wiki,
            DOCS SAY|OUR|search|find|look|look_up|check|what|which|how, according_to,
            OUR rule|rules|guideline|convention|standard|procedure|agreement, anything DOCS,
            written|noted|wrote down, decided notes,
            база_знаний, справочник, регламент, методичка, мануал, вики,
            DOCS SAY|OUR|найди|какой|посмотри|глянь|поищи|есть|что|какой|сколько|как|сверь,
            OUR правило|правила|порядок|соглашение|стандарт|процедура,
            у_нас принято|правило|записано|решили
        """),
        hints=_list("DOCS"),
    ),
    "run_python": Cues(
        decides=_list("""
            plot DATA|curve|line|result|values|function|histogram|y|x|them|against, bar_chart,
            chart|graph|histogram draw|make|bar|show, draw line|bars|curve|them|values, simulate,
            simulation, t_test, monte_carlo, standard_deviation compute|calculate|column|of,
            fit line|curve|parabola|polynomial, linear_regression, interpolate,
            significantly DATA|than|higher|lower,
            correlation|percentile|distribution compute|calculate|find|between,
            compute|calculate|estimate
            mean|median|average|sum|integral|column|DATA|values|data|random|probability|points,
            probability|likely simulate|group,
            DATA SHOW|find|take|load|drop|filter|clean|analyse|analyze|trend|average|tell,
            measure|time how_long|takes|function, run|execute script|snippet, outlier,
            trend over|year|DATA, fourier, fft, smooth signal|curve, random points|numbers,
            построй|нарисуй|рисовать график|гистограмма|диаграмма|кривая|линия|ящик|результат,
            столбчатая диаграмма, смоделируй, моделирование, имитация, симуляция, монте_карло,
            стандартный отклонение посчитай|вычисли|столбец|найди, аппроксимируй, аппроксимация,
            регрессия линейный, интерполяция, проинтерполируй,
            выброс данные|сигма|значение|убери|найди, значимо больше|меньше|лучше, тренд за|по,
            вероятность, оценить|оцени случайный|число,
            посчитай|вычисли|рассчитай
            среднее|медиана|сумма|столбец|интеграл|DATA|сколько|значение,
            DATA SHOW|возьми|загрузи|убери|отфильтруй|очисти|проанализируй,
            замерь|измерь время|сколько|скорость, RUN скрипт, фурье, случайный точек|число,
            график построй
        """),
        hints=_list("""
            DATA,
            compute|calculate|посчитай|вычисли|рассчитай,
            average|column|points|numbers|среднее|столбец|точки|коэффициент|числа,
            chart|graph|histogram|correlation|график|графике|гистограмма|диаграмма|корреляция
        """),
    ),
    "shell": Cues(
        decides=_list("""
            install package|requirements|dependency|library|tool,
            RUN make|npm|cargo|docker|command|bash|build|lint,
            make lint|flash|install|all|clean|test, npm|cargo|pip|cmake RUN|install|build|upgrade,
            upgrade|update package|pip|library, build docs|project|image|package|container|wheel,
            restart,
            kill|stop|shut_down|turn_off process|listening|port|server|service|jupyter|container,
            RUN|stop|bring|fire
            up|container|service|server|stack|docker|daemon|compose|postgres|nginx|redis,
            docker up|running, listening port|anything|whatever,
            compile firmware|project|code|it|program, cron, systemctl, ssh, curl,
            RUN lint|linter|линтер,
            установи|установить|поставь пакет|зависимость|библиотека|утилита,
            RUN make|npm|команда|сборка|bash|build|docker, make|npm|pip через|RUN,
            собери проект|документация|образ|пакет|контейнер|прошивка, перезапусти, перезапустить,
            убей|заверши|останови|выключи|погаси процесс|порт|сервер|служба|jupyter|контейнер,
            запусти|подними контейнер|сервер|служба|демон|postgres|nginx|redis|стек,
            слушать порт|кто|нибудь, слушает, скомпилируй, крон
        """),
        hints=_list("""
            chmod, make, bash, docker, port, process, command,
            порт, процесс, команда, контейнер, образ
        """),
    ),
    "git": Cues(
        decides=_list("""
            git, commit, blame, cherry_pick, rebase, squash, stash, push branch|commit|tag,
            tag it|release, pull_request merge|open, merge_conflict, uncommitted,
            modified yet|but, when|whose change|add|remove|appear|touch by|did|was|idea,
            who_changed, who_wrote, who_added, who_removed, who_deleted, who_introduced,
            who_touched, who_last, last_changed, anyone touched, who change|touch FILE|FAULT|CODE,
            branch create|switch|merge|delete|new, diff show|last|SHOW, revert,
            undo|revert|roll_back|messed_up|back change|commit|last|merge, last change,
            merge branch|into,
            what changed|change release|version|between|since|month|week|yesterday,
            which release|version introduced, author commit|line|file,
            слияние|мерж отмени|верни, отправь|запушь|влей ветка, поставь тег, гит,
            коммит|коммита, комит|комита, закоммить, закоммитить, мерж, слияние ветка, сквош,
            стэш,
            кто|чья|чей
            сменили|поменяли|менял|изменил|написал|добавил|удалил|трогал|правил|положил,
            когда сменили|поменяли|появился|появилась|добавили
            файл|репозиторий|функция|переменная|порт|строка|идея, история репозиторий|изменение,
            ветка сделать|создать|сделай|создай|переключись|слить|новый,
            откати коммит|коммита|изменение|правка,
            что изменилось|изменил|изменила|поменял|поменяла|поменялось|правил
            релиз|версия|между|месяц|неделя|вчера, автор строка|файл|правка|дата
        """),
        hints=_list("""
            history, repository, repo, diff, release, branch,
            история, репозиторий, релиз, версия, ветка
        """),
    ),
    "query_database": Cues(
        decides=_list("""
            sql RUN|query|against|table|write, database SHOW|query|from|MOST,
            table row|column|RECORDS|query|use|who|whose|how_many, tables are, QUERY|MOST RECORDS,
            how_many|count|top|best|largest user|order|product|part|ticket|sale,
            find customers|clients|patients whose|without|missing, select from, warehouse MOST,
            per country|month|ward|department|customer|warehouse, query RUN|write,
            order|invoice|ticket|заказ|счет status|статус|number|номер,
            база SHOW|вытащи|MOST|есть|из,
            таблица строка|колонка|столбец|вытащи|они|смотри|сколько|RECORDS,
            QUERY товар|счет|деталь|пользователь|заявка, запрос RUN|sql|напиши|QUERY
        """),
        hints=_list("database|table|query|sql|база|таблица|запрос|RECORDS"),
    ),
    "system_info": Cues(
        decides=_list("""
            RESOURCE MACHINE|ENOUGH|here|this, how_many core|cpu|processor, vram, uptime,
            cuda|swap MACHINE|here|use, driver|cuda|gpu version|installed|found|there,
            version python|torch|package|library|os|kernel running|installed|here|am|which,
            operating_system, os are|on|version,
            MACHINE enough|handle|cope|fast|strong|потянет|хватит|справится, подкачка,
            cuda MACHINE|тут|есть,
            память|диск|место|процессор|видеокарта MACHINE|ENOUGH|тут|здесь, оперативка,
            видеокарта, видеопамять, драйвер|cuda версия|стоит|установлен,
            версия python|torch|библиотека|пакет стоит|установить|тут, операционка, железо,
            температура процессор|gpu
        """),
        hints=_list("RESOURCE, cuda"),
    ),
}

DECISION = _list("""
    should we|i, choose, decide, decision, trade_off, trade_offs, pros cons, weigh, versus, vs,
    worth, go_for, or ?, or better|buy, good idea, compare with, which better, pick,
    keep drop|remove, stay go|with, whether_to,
    стоит ли, выбрать, выбираем, реши, решить, решим, взвесь, взвесить, плюсы минусы, против за,
    или ?, или лучше|взять, ли ?, сравни, оставить убрать, переходить|остаться на
""")
"""A decision is asked for: with the architect, or with two roles or more, that is a debate."""

DEBATE = _list("""
    every|each|all discipline|role|expert|side say|opinion|view,
    views|opinion of|different|several, debate, argue out|roles|people|architect,
    have|let|ask architect|designer|tester security|designer|tester,
    discuss roles|experts|together, consilium, director decides,
    мнение эксперт|роль|разный|архитектура|каждый, мнения,
    выскажутся|высказаться|обсудите|обсудить роль|эксперт|все|пусть|архитектор, консилиум,
    спор ролей, дебаты, каждый роль|эксперт, пусть поспорят|обсудят|решат|выскажутся
""")
"""A debate is asked for in so many words."""
