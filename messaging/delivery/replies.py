"""What an SMTP reply means: code, enhanced code (RFC 3463, 5248) and the words of the big providers, read as
a verdict and a cause. Pure tables; the words come from replies seen in the field and the providers' own
lists."""

import re
from typing import NamedTuple

from messaging.delivery.outcomes import BEFORE_MAIL, Cause, Phase, Reply, Verdict

TEXT_LIMIT = 4000
READ_LIMIT = 1000

_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?!\d)")
_UNPRINTABLE = re.compile(r"[^\S\n]|[\x00-\x09\x0b-\x1f\x7f-\x9f\ufffe\uffff]")


def parse_reply(code: int, raw: bytes) -> Reply:
    """The reply whose lines, codes included, are `raw` joined by newlines."""
    text = raw.decode("utf-8", "replace")
    if "\n" in text or not text.isprintable():
        return _parse_lines(code, text)
    text = text[4:]
    found = _ENHANCED.match(text)
    if found is None:
        return Reply(code, None, text[:TEXT_LIMIT])
    return Reply(code, found.group(), text[found.end() :].lstrip()[:TEXT_LIMIT])


def _parse_lines(code: int, text: str) -> Reply:
    enhanced = None
    lines = []
    for line in text.split("\n"):
        line = _UNPRINTABLE.sub(" ", line[4:]).strip()
        if found := _ENHANCED.match(line):
            enhanced = enhanced or found.group()
            line = line[found.end() :].lstrip()
        lines.append(line)
    return Reply(code, enhanced, "\n".join(lines)[:TEXT_LIMIT])


def from_reply(reply: Reply, phase: Phase) -> tuple[Verdict, Cause | None]:
    """What a reply in `phase` means for the message.

    Before MAIL nothing has been said about the message, so even a 5xx defers it: RFC 5321 section 3.1 lets a
    host say 554 in its greeting, and like Postfix we ask the next one or come back. 530, 534, 535 and 538
    speak of our own credentials or TLS (RFC 4954): a fault of the route, never the recipient's.
    """
    if reply.code < 400:
        if 200 <= reply.code < 300 and phase in (Phase.DOT, Phase.DONE):
            return Verdict.DELIVERED, None
        return Verdict.DEFERRED, Cause.PROTOCOL
    cause = _cause(reply, phase)
    if reply.code in (530, 534, 535, 538):
        return Verdict.DEFERRED, Cause.TLS if cause is Cause.TLS else Cause.AUTH
    if reply.code < 500 or phase in BEFORE_MAIL:
        return Verdict.DEFERRED, cause
    return Verdict.BOUNCED, cause


def _cause(reply: Reply, phase: Phase) -> Cause:
    """The cause told by words, then by status, then by code. What a server says of a mailbox in answer to MAIL is about
    the sender's: it must not suppress the recipient."""
    cause = _read(reply, phase)
    if phase is Phase.MAIL and cause in (Cause.MAILBOX_UNKNOWN, Cause.MAILBOX_DISABLED, Cause.MAILBOX_FULL):
        return Cause.POLICY
    return cause


def _read(reply: Reply, phase: Phase) -> Cause:
    text = _plain(reply.text)
    return (
        _told(_CLEAR, text, reply.code)
        or _STATUS.get(reply.enhanced or "")
        or _STATUS.get(_status(reply))
        or _told(_VAGUE, text, reply.code)
        or _STATUS.get(_status(reply).split(".")[0] + ".")
        or _by_code(reply.code, phase)
    )


_ADDRESS = re.compile(r"<[^<>\s]{0,320}@[^<>\s]*>|[^\s<>()\[\]'\":;,]{1,64}@[^\s<>()\[\]'\":;,]+")


def _plain(text: str) -> str:
    """Lower case, one line, and without addresses, whose words (`no-such-user@`, `spam@`) would be
    misread."""
    return " ".join(_ADDRESS.sub(" ", text[:READ_LIMIT]).lower().split())


def printable(text: str) -> str:
    """The text with every control character and odd blank as a space."""
    return _UNPRINTABLE.sub(" ", text).strip()


class Rule(NamedTuple):
    cause: Cause
    kinds: str  # first digits of the codes it is for
    words: re.Pattern[str]


def _told(table: tuple[Rule, ...], text: str, code: int) -> Cause | None:
    kind = str(code)[0]
    return next((rule.cause for rule in table if kind in rule.kinds and rule.words.search(text)), None)


def _status(reply: Reply) -> str:
    """Subject and detail of the enhanced code (RFC 3463), Microsoft's hundreds of 5.7.5xx-7xx folded by
    hundred."""
    if reply.enhanced is None:
        return ""
    _, subject, detail = reply.enhanced.split(".")
    if subject == "7" and len(detail) == 3 and f"7.{detail}" not in _STATUS:
        return f"7.{detail[0]}xx"
    return f"{subject}.{detail}"


def _by_code(code: int, phase: Phase) -> Cause:
    if code == 552:
        return Cause.MAILBOX_FULL if phase is Phase.RCPT else Cause.TOO_LARGE
    return _CODES.get(code, Cause.OTHER)


_CODES = {
    421: Cause.CONNECTION,
    451: Cause.SYSTEM,
    452: Cause.SYSTEM,
    454: Cause.TLS,
    455: Cause.PROTOCOL,
    500: Cause.PROTOCOL,
    501: Cause.PROTOCOL,
    502: Cause.PROTOCOL,
    503: Cause.PROTOCOL,
    504: Cause.PROTOCOL,
    521: Cause.DNS,  # RFC 7504: the host takes no mail
    523: Cause.TLS,
    551: Cause.MAILBOX_UNKNOWN,
    555: Cause.PROTOCOL,
    556: Cause.DNS,  # RFC 7504: the domain takes no mail
}

# RFC 3463, 4954, 5248, 6531, 7372, 7504, and what Microsoft adds. "4." is the default of a whole subject.
_STATUS = {
    "1.1": Cause.MAILBOX_UNKNOWN,
    "1.2": Cause.DNS,
    "1.3": Cause.MAILBOX_UNKNOWN,
    "1.6": Cause.MAILBOX_UNKNOWN,
    "1.7": Cause.POLICY,
    "1.8": Cause.POLICY,
    "1.10": Cause.MAILBOX_UNKNOWN,
    "2.1": Cause.MAILBOX_DISABLED,
    "2.2": Cause.MAILBOX_FULL,
    "2.3": Cause.TOO_LARGE,
    "3.3": Cause.PROTOCOL,
    "3.4": Cause.TOO_LARGE,
    "3.6": Cause.PROTOCOL,
    "3.": Cause.SYSTEM,
    "5.4.1": Cause.MAILBOX_UNKNOWN,  # Exchange Online: a recipient its directory does not know
    "4.3": Cause.DNS,
    "4.4": Cause.DNS,
    "4.5": Cause.RATE_LIMITED,
    "4.6": Cause.PROTOCOL,
    "4.7": Cause.TIMEOUT,
    "4.": Cause.CONNECTION,
    "5.3": Cause.RATE_LIMITED,
    "5.": Cause.PROTOCOL,
    "6.7": Cause.SMTPUTF8_UNSUPPORTED,
    "6.8": Cause.SMTPUTF8_UNSUPPORTED,
    "6.9": Cause.SMTPUTF8_UNSUPPORTED,
    "6.": Cause.CONTENT,
    "7.4": Cause.TLS,
    "7.5": Cause.TLS,
    "7.8": Cause.AUTH,
    "7.10": Cause.TLS,
    "7.11": Cause.TLS,
    "7.20": Cause.AUTH,
    "7.21": Cause.AUTH,
    "7.22": Cause.AUTH,
    "7.23": Cause.AUTH,
    "7.24": Cause.AUTH,
    "7.25": Cause.AUTH,
    "7.26": Cause.AUTH,
    "7.28": Cause.RATE_LIMITED,
    "7.500": Cause.RATE_LIMITED,
    "7.5xx": Cause.REPUTATION,
    "7.509": Cause.AUTH,
    "7.515": Cause.AUTH,
    "7.6xx": Cause.REPUTATION,
    "7.7xx": Cause.REPUTATION,
    "7.705": Cause.RATE_LIMITED,
    "7.": Cause.POLICY,
}


def _rules(*rows: tuple[Cause, str, str]) -> tuple[Rule, ...]:
    return tuple(Rule(cause, kinds, re.compile(pattern)) for cause, kinds, pattern in rows)


# Words that outrank the enhanced code, which many servers fill carelessly. The order matters: "too many unknown
# users" is not an unknown user, a full mailbox is not a large message.
_CLEAR = _rules(
    (
        Cause.TLS,
        "45",
        r"\b(issue (a )?|use |without )starttls|(start)?tls (is )?required|encryption (is )?(required|needed)",
    ),
    (
        Cause.PROTOCOL,
        "45",
        r"too many (hops|received)|hop count|mail (is )?loop|loops? (detected|back)|routing loop",
    ),
    (
        Cause.GREYLISTED,
        "4",
        r"gr[ae]y ?-?list|\[gl01\]|postgrey|internal resources are temporarily unavailable",
    ),
    (
        Cause.RATE_LIMITED,
        "45",
        r"rate[ -]?limit|throttl|too (quickly|fast|frequent)|receiving mail at a rate|unusual rate|frequency"
        r"|thread limit|slow ?down|\[tss?0[0-24-9]\]|temporarily deferred|server (is )?(too )?busy"
        r"|too many (\w+ )?(connections|messages|mails|e-?mails|recipients|sessions|concurrent|errors)"
        r"|(daily|hourly|sending|relay|connections?)\b.{0,40}\b(quota|limits?)\b"
        r"|(connections?|messages) .{0,40}exceeded|tenant has exceeded",
    ),
    (
        Cause.REPUTATION,
        "45",
        r"spamhaus|barracuda|sorbs|spamcop|senderscore|cloudmark|\b(dns|r)[bw]ls?\b|black ?-?list|block ?-?list"
        r"|blocked using|reputation|banned send|\b(bl2\d|tss?03|s3150|s3140|sc-00\d|dy-00\d|ou-00\d)\b"
        r"|\bip\b.{0,60}\b(block|blocked|filtered|listed|rejected|banned|denied)\b|excessive unknown"
        r"|too many (unknown|invalid)|unsolicited|permanently deferred|traffic not accepted"
        r"|not accept(ed|ing) (connections|mail) from",
    ),
    (
        Cause.AUTH,
        "45",
        r"\b(spf|dkim|dmarc)\b|unauthenticated (sender|mail|email|message)|is not authenticated|not authenticated"
        r"|sender (domain )?authentication|ptr record|reverse dns|rdns|reverse lookup|valid sender domain",
    ),
    (
        Cause.MAILBOX_FULL,
        "45",
        r"(mailbox|mail box|inbox|account|user)\b.{0,30}\b(is )?(full|storage|size limit)|over ?-?quota|quota"
        r"|out of storage|full mailbox|no space left for|has exceeded .{0,40}storage|too much mail data",
    ),
    (Cause.RELAY_DENIED, "45", r"relay|rcpthosts|open proxy"),
    (Cause.SMTPUTF8_UNSUPPORTED, "45", r"smtputf8|internationali[sz]ed"),
    (
        Cause.POLICY,
        "45",
        r"sender (address|domain)( \S+)? (rejected|denied|invalid|not)|sender (rejected|denied|verify|unknown)"
        r"|invalid sender|resolver\.rst\.(authrequired|notauthorized|restricted)",
    ),
    (
        Cause.TOO_LARGE,
        "45",
        r"too (large|big)|larger than|message length|(message|mail|data|maximum)\b.{0,30}\bsize\b|size limit"
        r"|recipsizelimit|exceeds? .{0,30}(size|maximum|limit)",
    ),
    (
        Cause.CONTENT,
        "45",
        r"spam|virus|malware|phish|message content|content (re|de|block)|attachments?\b|security (issue|risk)"
        r"|surbl|uribl|objectionable|dt:spm|multiple .{0,30}addresses in from",
    ),
    (
        Cause.MAILBOX_DISABLED,
        "5",
        r"(account|mailbox|user|recipient)\b( \S+){0,6}? (is |has been |was )?(currently |temporarily )?"
        r"(disabled|inactive|suspended|deactivated|locked|frozen|closed|expired|terminated|dormant|blocked"
        r"|not active)\b|\b(inactive|disabled|suspended|expired|dormant) (e-?mail|user|mailbox|account|recipient)"
        r"|disableduser",
    ),
    (
        Cause.MAILBOX_UNKNOWN,
        "45",
        r"(user|recipient|mailbox|account|addressee|alias|customer)( \S+)? unknown|unknown (or illegal )?"
        r"(user|recipient|mailbox|address|alias|local|account|customer)|no such (user|mailbox|recipient|address|person"
        r"|account|local|customer)|no (mailbox|account|user)\b"
        r"|(user|mailbox|mail box|recipient|account|addressee|address|alias|e-?mail)( \S+)? "
        r"(is |was |does |do |could )?(not|n't|cannot be|can't be) ?(be )?(exist|found|known|valid|listed|here|local)"
        r"|(doesn't|does not|not) (exist|have an? )"
        r"|(not|isn't) an? (valid|known|existing) (user|recipient|mailbox|account)"
        r"|not our customer|not known here|nosuchuser|recipientnotfound|unrouteable address|undeliverable address"
        r"|invalid (recipient|mailbox|user|address|destination)|no longer on server"
        r"|destinataire invalide|adresse .{0,40}invalide|has no mailbox|user doesn't|mailbox not",
    ),
    (
        Cause.MAILBOX_UNKNOWN,
        "5",
        r"mailbox (is )?(unavailable|not available)|no longer (valid|available|in use|active)",
    ),
    (
        Cause.DNS,
        "45",
        r"(domain|host|name)( \S+)? (unknown|not found)|(no such|unknown) (domain|host)|nxdomain"
        r"|domain is not reachable",
    ),
)
_VAGUE = _rules(
    (Cause.TIMEOUT, "4", r"time(d)? ?-?out"),
    (
        Cause.POLICY,
        "45",
        r"polic(y|ies)|access denied|recipient address rejected|not allowed|prohibited|administrative|denied",
    ),
    (
        Cause.SYSTEM,
        "4",
        r"system|resources|internal|storage|temporar(y|ily)|local error|database|lookup|try (again )?later",
    ),
    (Cause.POLICY, "5", r"reject|refus|block|forbidden|not accept|unacceptable"),
)

_UNITS = {"s": 1, "m": 60, "h": 3600}
_WAIT = re.compile(
    r"\b(?:in|after|for|wait|least|retry)\b[^\d\n]{0,20}?(\d{1,6})\s*-?(s|m|h)(?:ecs?|econds?|ins?|inutes?|rs?|ours?)?\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"\b(\d{1,2}):(\d\d):(\d\d)\b")
LONGEST_WAIT = 86400.0


def retry_after(reply: Reply) -> float | None:
    """Seconds a 4xx reply asks us to wait ("try again in 5 minutes", "come back in 00:04:30"), at most a
    day."""
    if not 400 <= reply.code < 500:
        return None
    if clock := _CLOCK.search(reply.text):
        hours, minutes, seconds = map(int, clock.groups())
        return min(hours * 3600.0 + minutes * 60 + seconds, LONGEST_WAIT) or None
    if told := _WAIT.search(reply.text):
        return min(float(told[1]) * _UNITS[told[2].lower()], LONGEST_WAIT) or None
    return None
