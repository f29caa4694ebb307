"""A platform with a past: hundreds of thousands to millions of messages over 90 days, written by SQL with the indexes put aside.
One account has four fifths of them; templates, domains, words and outcomes are spread as they are in life."""

import json

from bench.stage import Stage
from sendarix.core import ids

TABLES = ("messages", "message_contents", "attempts")
DAYS = 90

ACCOUNTS = (("bench", 0.80), ("hanbit", 0.15), ("globex", 0.04), ("corner-shop", 0.01))
"""Slugs and their share of the messages."""

_DIGITS = " || ".join(
    f"substr('{ids.ALPHABET}', 1 + ((extract(epoch FROM at) * 1000)::bigint >> {shift} & 31)::int, 1)"
    for shift in range(45, -1, -5)
)
_FUNCTIONS = f"""
CREATE OR REPLACE FUNCTION bench_id(prefix text, at timestamptz, n bigint) RETURNS text STABLE LANGUAGE sql AS
    $$ SELECT prefix || '_' || {_DIGITS} || left(md5(n::text), 16) $$;
CREATE OR REPLACE FUNCTION bench_pick(at float, names text[]) RETURNS text IMMUTABLE LANGUAGE sql AS
    $$ SELECT names[1 + floor(at * cardinality(names))::int] $$;
"""

_DRAW = """
CREATE UNLOGGED TABLE bench_drawn AS
SELECT n, bench_id('msg', at, n) AS id, bench_id('req', at - interval '5 milliseconds', n) AS request, at,
    (ARRAY[%(ids)s])[1 + (share > %(a)s)::int + (share > %(b)s)::int + (share > %(c)s)::int]::bigint AS account_id,
    bench_pick(t, ARRAY['otp-code','otp-code','otp-code','otp-code','otp-code','otp-code','otp-code','otp-code','order','order',
        'order','order','invoice','invoice','shipping','shipping','welcome','password-reset','receipt','survey']) AS template,
    bench_pick(s1, ARRAY['kim','lee','park','choi','jung','kang','cho','yoon','jang','lim']) || '.'
        || bench_pick(s2, ARRAY['minji','seojun','haeun','doyun','jiwoo','yuna','taeho','sora','eunji','junho']) || person
        AS local,
    CASE WHEN d < 0.86 THEN bench_pick(d / 0.86, ARRAY['gmail.com','gmail.com','gmail.com','gmail.com','naver.com','naver.com',
        'naver.com','daum.net','outlook.com','icloud.com']) ELSE 'corp' || person %% 3000 || '.example' END AS domain,
    CASE WHEN o < 0.945 THEN 'delivered' WHEN o < 0.968 THEN 'bounced' WHEN o < 0.98 THEN 'suppressed' WHEN o < 0.986
        THEN 'canceled' WHEN o < 0.990 THEN 'expired' WHEN o < 0.993 THEN 'deferred' WHEN o < 0.995 THEN 'queued' WHEN o < 0.997
        THEN 'scheduled' WHEN o < 0.998 THEN 'complained' ELSE 'unsubscribed' END AS status,
    'product' || floor(700 * w)::int AS product
FROM (
    SELECT n, at, random() AS share, random() AS t, random() AS s1, random() AS s2, random() AS d, random() AS o, random() AS w,
        floor(%(people)s * random() * random())::int AS person
    FROM (SELECT n, now() - interval '%(days)s days' * (1 - (n - %(first)s)::float / %(count)s) AS at
        FROM generate_series(%(first)s, %(first)s + %(count)s - 1) n) numbered
) drawn
"""

_SUBJECT = """CASE template
    WHEN 'otp-code' THEN CASE WHEN n %% 2 = 0 THEN 'Your verification code' ELSE '[한빛] 인증번호 안내' END
    WHEN 'order' THEN 'Order A-' || n || ' confirmed: ' || product
    WHEN 'invoice' THEN 'Invoice for ' || product || ', 주문 결제 완료'
    WHEN 'shipping' THEN 'Your parcel with ' || product || ' is on its way'
    WHEN 'welcome' THEN 'Welcome to Hanbit'
    WHEN 'password-reset' THEN 'Reset your password'
    ELSE 'How was ' || product || '?' END"""
_TIER = "CASE template WHEN 'otp-code' THEN 0 WHEN 'password-reset' THEN 1 WHEN 'survey' THEN 3 ELSE 2 END"

_MESSAGES = f"""
INSERT INTO messages (id, account_id, livemode, status, sequence, tier, due_at, waits_for, fence, marked, attempt, created_at,
    accepted_at, ended_at)
SELECT id, account_id, true, status, 3, {_TIER},
    CASE WHEN status IN ('deferred', 'queued', 'scheduled') THEN now() + interval '1 year' END,
    CASE status WHEN 'deferred' THEN 'retry' WHEN 'queued' THEN status WHEN 'scheduled' THEN status END, 1, false, 1, at,
    at + interval '20 milliseconds',
    CASE WHEN status NOT IN ('deferred', 'queued', 'scheduled') THEN at + interval '2 seconds' * (n %% 10) END
FROM bench_drawn ORDER BY n
"""
_CONTENTS = f"""
INSERT INTO message_contents (message_id, account_id, livemode, recipient, recipient_key, sender, subject, shown_subject, text,
    headers, template, tags, metadata, sensitive, unsubscribe, override, size, attachment_count, key_id, request_id, tier)
SELECT id, account_id, true, local || '@' || domain, local || '@' || domain, 'Shop <no-reply@bench.test>', {_SUBJECT}, {_SUBJECT},
    repeat(md5(n::text) || ' ', 12), '{{}}', template, CASE WHEN n %% 5 = 0 THEN ARRAY['billing'] WHEN n %% 997 = 0
    THEN ARRAY['migrated', 'old'] ELSE ARRAY[]::text[] END, jsonb_build_object('order', 'A-' || n, 'shop', product), '{{}}',
    false, false, 3000, (n %% 50 = 0)::int, 'key_' || lpad((n %% 7)::text, 26, '0'), request, {_TIER}
FROM bench_drawn ORDER BY n
"""
_ATTEMPTS = """
INSERT INTO attempts (message_id, account_id, livemode, number, route, explanation, verdict, cause, phase, detail, code, enhanced,
    reply, started_at, duration_ms)
SELECT id, account_id, true, 1, CASE WHEN n %% 3000 = 0 THEN 'backup' ELSE 'default' END, '{}', status,
    CASE status WHEN 'bounced' THEN bench_pick((n %% 10) / 10.0, ARRAY['mailbox_unknown','mailbox_full','policy']) WHEN 'deferred'
    THEN 'greylisted' END, 'reply', '', CASE status WHEN 'bounced' THEN 550 WHEN 'deferred' THEN 451 ELSE 250 END,
    CASE status WHEN 'bounced' THEN '5.1.1' WHEN 'deferred' THEN '4.7.1' ELSE '2.0.0' END, 'ok', at, 80
FROM bench_drawn WHERE status NOT IN ('queued', 'scheduled', 'suppressed', 'canceled') ORDER BY n
"""


_EVENTS = """
INSERT INTO events (message_id, account_id, livemode, type, previous, sequence, at, data, transaction)
SELECT id, account_id, true, s.type, s.previous, s.sequence, at + s.sequence * interval '0.7 seconds',
    CASE WHEN s.type = 'bounced' THEN '{"route": "default", "reason": "mailbox_unknown"}'::jsonb
        WHEN s.sequence > 1 THEN '{"route": "default"}' ELSE '{}' END, pg_current_xact_id()::text::bigint
FROM bench_drawn, LATERAL (VALUES (1, 'queued', NULL), (2, 'accepted', 'queued'), (3, status, 'accepted'))
    s(sequence, type, previous)
WHERE s.sequence = 1 OR status NOT IN ('queued', 'scheduled') ORDER BY n, s.sequence
"""


def found(stage: Stage) -> list[int]:
    """The accounts; "bench" is there already."""
    for slug, _ in ACCOUNTS[1:]:
        stage.manage("create_account", slug, "--json")
    rows = dict(stage.query("SELECT slug, id FROM accounts"))
    stage.query(_FUNCTIONS)
    return [rows[slug] for slug, _ in ACCOUNTS]


def fill(stage: Stage, accounts: list[int], first: int, count: int, events: bool = False) -> None:
    """`count` messages more, numbered from `first`, spread over the DAYS before now; `events`: with theirs."""
    tables = (*TABLES, "events") if events else TABLES
    shares = [sum(share for _, share in ACCOUNTS[: n + 1]) for n in range(3)]
    values = {"ids": ", ".join(map(str, accounts)), "first": first, "count": count, "days": DAYS, "people": 400_000}
    stage.query("SELECT setseed(0.25); DROP TABLE IF EXISTS bench_drawn")
    stage.query(_DRAW % (values | dict(zip("abc", shares, strict=True))))
    indexes = stage.query(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = ANY(%s) AND indexname NOT IN"
        " (SELECT conname FROM pg_constraint)",
        [list(tables)],
    )
    for name, _ in indexes:
        stage.query(f"DROP INDEX {name}")
    for statement in (_MESSAGES, _CONTENTS, _ATTEMPTS, *([_EVENTS] if events else [])):
        stage.query(statement.replace("%%", "%"))
    stage.query("SET maintenance_work_mem = '768MB'; DROP TABLE bench_drawn")
    for _, definition in indexes:
        stage.query(definition)
    for table in tables:
        stage.query(f"VACUUM ANALYZE {table}")


def sizes(stage: Stage) -> str:
    rows = stage.query(
        "SELECT relname, pg_relation_size(oid) / 1048576 FROM pg_class WHERE relname IN"
        " ('messages', 'message_contents', 'attempts', 'contents_search', 'events')"
    )
    return json.dumps({name: int(size) for name, size in rows})
