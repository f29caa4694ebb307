"""Text and codes of a report to a cause. What a server answered is read by `messaging.delivery.replies`; here are the
words reporting hosts and mailbox providers use in their own notes, in the languages they use."""

import re

from messaging.delivery.outcomes import Cause, Phase, Reply
from messaging.delivery.replies import from_reply

TEXT_LIMIT = 1000

_CODE = re.compile(r"(?<![\w.#/-])([45][0-5]\d)(?=[-\s:;,'#]|$)")
_ENHANCED = re.compile(r"(?<![\w.])([245]\.\d{1,3}\.\d{1,3})(?![.\w])")
_HOST = re.compile(r"\b(?:[a-z0-9_-]{1,63}\.){1,8}[a-z]{2,24}\b")
_LISTS = re.compile(r"spam|sorbs|barracuda|rbl|dnsbl|cloudmark|senderscore|blacklist")
_WRAPPED = re.compile(r"\s*[45]\.\d\.\d - [\w ]{1,60} ([45]\d\d)-'(.*)", re.DOTALL)
_LEADS = re.compile(r"(?<![\w.])[245]\d\d[- ](?:[245]\.\d{1,3}\.\d{1,3})?")


def unwrapped(text: str) -> str:
    """A server's answer out of the sentence Cisco's mail gateway puts around it, whose own code says nothing."""
    found = _WRAPPED.match(text)
    return f"{found[1]} {found[2]}" if found else text


def code_in(text: str) -> int | None:
    found = _CODE.search(text)
    return int(found[1]) if found else None


def enhanced_in(text: str) -> str | None:
    """The first enhanced code (RFC 3463) that says something, else the first of all."""
    codes = _ENHANCED.findall(text)
    return next((code for code in codes if not code.endswith(".0.0")), codes[0] if codes else None)


def _rules(*rows: tuple[Cause, str]) -> tuple[tuple[Cause, re.Pattern[str]], ...]:
    return tuple((cause, re.compile(pattern)) for cause, pattern in rows)


_PHASES = (
    (Phase.DOT, re.compile(r"end of data|in reply to .{0,10}\bdot\b|after i sent the message|>>> \.$", re.I | re.M)),
    (Phase.DATA, re.compile(r"(reply to|after|command\S*:?|our( final)?|>>>)\s{1,3}data\b|^data$", re.I | re.M)),
    (Phase.RCPT, re.compile(r"\brcpt[ _]to\b|after rcpt|reply to rcpt|does not like recipient", re.I)),
    (
        Phase.MAIL,
        re.compile(r"(reply to|after|>>>|our|\[)\s{0,3}mail[ _]from|my name was rejected|sender was rej", re.I),
    ),
    (Phase.EHLO, re.compile(r"(reply to|after|>>>|our)\s{1,3}(ehlo|helo)\b", re.I)),
    (Phase.GREETING, re.compile(r"after initial connection|while receiving the initial server greeting", re.I)),
)
_PIPELINED = re.compile(r"\b503\b.{0,20}need rcpt|\b503\b.{0,40}no valid recipient|554.{0,30}no valid recipients", re.I)


def phase_in(text: str) -> Phase | None:
    """The last command the text says was answered with the failure, if it says so. Where DATA was sent ahead (RFC 2920)
    and answered 503, the answer before was to RCPT."""
    if _PIPELINED.search(text):
        return Phase.RCPT
    return next((phase for phase, pattern in _PHASES if pattern.search(text)), None)


def cause_of(code: int | None, enhanced: str | None, text: str, phase: Phase | None, failed: bool) -> Cause:
    """The cause of a failure or delay.

    `failed`: given up, as opposed to delayed. A mailbox called unknown only after the mail itself was taken is a
    recipient's filter speaking (mobile carriers do it), unless the status says 5.1.x.
    """
    plain = _LEADS.sub(" ", text[:TEXT_LIMIT])
    cause = _told(plain) or _replied(code, enhanced, text, phase, failed)
    if cause is Cause.MAILBOX_DISABLED and enhanced == "5.1.1":
        return Cause.MAILBOX_UNKNOWN
    if cause is Cause.MAILBOX_UNKNOWN and _contradicted(enhanced, phase):
        return Cause.MAILBOX_DISABLED if enhanced == "5.2.1" else Cause.POLICY
    if cause is Cause.POLICY and (enhanced or "")[1:].startswith(".6."):
        return Cause.CONTENT
    if cause in (Cause.OTHER, Cause.DNS, Cause.PROTOCOL) and phase in _BEFORE_RECIPIENT and (code or 0) >= 500:
        return Cause.POLICY
    if failed and cause in _LASTING and (code or 0) < 500 and (_EXPIRED.search(text.lower()) or cause in _GIVEN_UP):
        return Cause.RETRIES_EXHAUSTED
    return cause


def _contradicted(enhanced: str | None, phase: Phase | None) -> bool:
    """The status says that the mailbox exists (X.2) or that a policy spoke (X.7), or the mail was taken first. X.2.1 in
    answer to RCPT is said of unknown ones too."""
    subject = (enhanced or "")[2:]
    if subject.startswith("2."):
        return subject != "2.1" or phase is not Phase.RCPT
    return subject.startswith("7.") or (phase in _TAKEN and not subject.startswith("1."))


def _told(text: str) -> Cause | None:
    text = " ".join(text.lower().split())
    return next((cause for cause, pattern in _NOTES if pattern.search(text)), None)


def _replied(code: int | None, enhanced: str | None, text: str, phase: Phase | None, failed: bool) -> Cause:
    if code is None or code < 400:
        permanent = not enhanced.startswith("4") if enhanced else failed
        code = 550 if permanent else 450
    shown = _HOST.sub(_named, text[:TEXT_LIMIT])
    return from_reply(Reply(code, enhanced, shown), phase or Phase.RCPT)[1] or Cause.OTHER


def _named(host: re.Match[str]) -> str:
    """Host names out of the text: `relay3.example.com` says nothing of relaying. Block lists stay."""
    return host.group() if _LISTS.search(host.group()) else " "


_BEFORE_RECIPIENT = (Phase.GREETING, Phase.EHLO, Phase.MAIL)
_TAKEN = (Phase.DATA, Phase.DOT)
_LASTING = (Cause.TIMEOUT, Cause.CONNECTION, Cause.SYSTEM, Cause.OTHER, Cause.PROTOCOL, Cause.GREYLISTED)
_GIVEN_UP = (Cause.TIMEOUT,)
_EXPIRED = re.compile(
    r"expired|too long|time limit|giving up|gave up|given up|not going to try again|stopped trying|timed? ?out"
    r"|retry time|retry timeout|(could|can)( ?not|n't) (be )?deliver(ed)? (within|for)|failed \d+ attempts"
    r"|for the last \d+|within \d+ (days?|hours?|minutes?)|(undeliverable|undelivered) (for|after|in)|queue period"
    r"|did not accept our requests to connect|host not reachable|시간 ?초과|期限"
)
_NOTES = _rules(
    (Cause.POLICY, r"may not have permission to post|groups\.google\.com/support|not (a )?members? of|list is closed"),
    (Cause.POLICY, r"수신(을|이)? ?거부|수신 ?차단|拒否|registered as spammer"),
    (
        Cause.TLS,
        r"does not support tls|tls (connect|handshake|negotiation) fail|tls (is )?(not (available|supported|offered)|unavailable)"
        r"|starttls",
    ),
    (Cause.REPUTATION, r"too many unwanted|on our block ?list|\b(sc|dy|ou)-00\d\b|invalid ip\b"),
    (Cause.CONTENT, r"spam classification|(classified|identified|detected) as spam|blacklisted url|uribl|surbl"),
    (Cause.CONTENT, r"스팸|바이러스|メールウイルス|迷惑メール"),
    (
        Cause.DNS,
        r"null mx|does(n't| not) (accept|receive) (any )?(e-?)?mail\b|indicated no smtp service|no mail service"
        r"|host/domain does not accept|not accepting network messages"
        r"|(host|domain)( name)?( \S+)?( lookup)? (not found|unknown|not exist)|no such (domain|host)"
        r"|couldn't find any host|couldn't find a mail exchanger|dns (lookup |resolving )?(error|failure)|nxdomain"
        r"|name service error"
        r"|unrouteable address|unrout(e)?able mail domain|all relevant mx records point to non-?existent"
        r"|bad destination (system|domain)|domain (name )?(is )?(not found|invalid|does not exist|non-?existent)"
        r"|mx lookup|no (valid )?(mx|mail exchanger)|illegal host/domain|도메인.{0,20}(없|찾을 수)",
    ),
    (
        Cause.PROTOCOL,
        r"too many hops|mail loop|loops? back to|message looping|loop alert|routing loop|duplicated message-id",
    ),
    (
        Cause.RETRIES_EXHAUSTED,
        r"message expired|envelope expired|queue\.expired|delivery time expired|delivery failed \d+ attempts"
        r"|not responding|could not (be )?deliver(ed)?( it)? for the last|retry time not reached"
        r"|retry timeout exceeded|failing for a long time",
    ),
    (
        Cause.MAILBOX_FULL,
        r"mailfolder is full|full mailbox|boite.{0,20}pleine|casilla.{0,20}llena|buz[oó]n.{0,20}lleno|postfach.{0,20}voll"
        r"|容量|いっぱい|已满|용량|메일함.{0,10}(가득|꽉)|편지함.{0,10}(가득|꽉)|ящик.{0,20}переполнен|quota ?exceeded|disk quota"
        r"|maximum allowed quota|shutoffquota|not enough (disk )?(space|storage)|overdrawn"
        r"|mailbox .{0,20}exceed",
    ),
    (
        Cause.MAILBOX_DISABLED,
        r"disabled or discontinued|(account|mailbox) (is |has been )?(locked|frozen|suspended|disabled|inactive|expired)"
        r"|le compte .{0,30}(bloqu|suspendu|d[eé]sactiv)|recipient account is (blocked|suspended)|user account disabled"
        r"|휴면|정지된|비활성|休止|停止|заблокирован|deaktiviert|gesperrt",
    ),
    (
        Cause.MAILBOX_UNKNOWN,
        r"has moved|no longer (works|employed|with)|invalid final delivery userid|name is not recognized"
        r"|recipnotfound|recipient not found|not listed in (domino|public)|not found in (domino|directory)"
        r"|user not (known|exist)|not a (known|valid) user|(address|recipient) (is |may be )?(wrong|misspelled)"
        r"|5\.1\.0 address rejected|^address rejected"
        r"|address(es)? (is )?(wrong or )?no longer valid|not have an? .{0,20}account|bad destination mailbox"
        r"|this user doesn't have|존재하지 않|없는 ?(사용자|계정|주소|메일)|찾을 수 없|수신자를? 확인"
        r"|不存在|見つかりません|存在しません"
        r"|宛先不明|unbekannt|inconnu|n'existe pas|no existe|não existe|не существует|не найден|sconosciuto|non esiste",
    ),
    (
        Cause.SYSTEM,
        r"\bldap\b|procmail|couldn't create|pipe to \||command died|child status|error writing|mailer error"
        r"|operating system error|local delivery failed"
        r"|(can't|cannot|could not) (open|create)",
    ),
    (Cause.PROTOCOL, r"malformed address|(bad|invalid) address syntax"),
    (
        Cause.CONNECTION,
        r"did not accept our requests to connect|socket error|connection (refused|reset|timed out|lost|dropped)"
        r"|network error|network is unreachable|no route to host|establish an smtp connection|host not reachable"
        r"|(unable|could not|couldn't|cannot) (to )?(connect|contact)|lost connection",
    ),
    (Cause.POLICY, r"service refus"),
)
