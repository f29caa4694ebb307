"""The readable part of a report: where it ends and the returned mail begins, and whether it says that a mail failed,
waits, or was answered by a machine."""

import re
from dataclasses import dataclass

from messaging.inbound.bounces import addresses
from messaging.inbound.bounces.parts import TEXT_LIMIT, Mail, Part, read_headers
from messaging.inbound.bounces.reports import Original

ORIGINAL_KINDS = ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers", "text/rfc822")

_WHAT = r"(?:original|unsent|returned|forwarded|undelivered|undeliverable|rejected|bounced|old|non-delivered)"
_MARK = re.compile(
    r"^[ \t\-=*_>|:]{0,80}(?:"
    rf"(?:begin |the |your |an? )?{_WHAT} (?:e-?mail |mail )?(?:message|mail|text|e-?mail|content)s?\b"
    r"(?: (?:follows?|headers?|text|body|below|begins?|is attached|as follows))*[ \t\-=*_:.]{0,80}$"
    r"|.{0,60}\b(?:copy|headers?|summary|text) of (?:the |your |this |my )?(?:original |undelivered )?(?:e-?mail|message|mail)"
    r"(?! server)\b.{0,60}$"
    r"|(?:message|mail) (?:headers?|body|text)\b.{0,20}(?:follows?|suppressed).{0,10}$"
    r"|(?:your|the) message reads\b.{0,30}$"
    r"|원본 ?(?:메일|메시지).{0,20}$|元のメッセージ.{0,20}$|オリジナルメッセージ.{0,20}$|исходное (?:сообщение|письмо).{0,20}$"
    r"|urspr(?:ü|ue)ngliche nachricht.{0,20}$|message d'origine.{0,20}$|mensaje original.{0,20}$|原(?:始)?邮件.{0,10}$"
    r")",
    re.IGNORECASE | re.MULTILINE,
)
_HEADERS = re.compile(
    r"^(?:From \S+@|>?(?i:received|return-path|dkim-signature|mime-version|x-originating-ip|delivered-to)[ \t]?:)",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """`words`: what the reporting host says, without the returned mail; `original`: headers of the returned mail."""

    words: str
    original: Original


def read(mail: Mail) -> Reading:
    """Split the readable parts of `mail` from the mail returned with them."""
    words, inline = "", ""
    plain = [part for part in mail.parts if part.kind.startswith("text/plain")]
    for part in plain or [part for part in mail.parts if part.kind == "text/html"] or _unknown(mail):
        told, _, rest = _divided(part.text())
        words = f"{words}\n\n{told}" if words else told
        if rest or len(words) > TEXT_LIMIT:
            inline = rest
            break
    attached = next((part for part in mail.parts if part.kind in ORIGINAL_KINDS), None)
    returned = attached.decoded() if attached else inline.encode("utf-8", "replace")
    return Reading(words.strip("\n"), original(returned))


def _unknown(mail: Mail) -> list[Part]:
    """A multipart that could not be cut, read as text."""
    return [part for part in mail.parts if part.kind.startswith(("multipart/", "text/"))][:1]


def _divided(text: str) -> tuple[str, str, str]:
    """What comes before the first mark or header block of a returned mail, the mark, and what follows."""
    cuts = [found for found in (_MARK.search(text), _HEADERS.search(text)) if found]
    if not cuts:
        return text, "", ""
    cut = min(cuts, key=lambda found: found.start())
    if cut.re is _HEADERS:
        return text[: cut.start()], "", text[cut.start() :]
    return text[: cut.start()], cut.group(), text[cut.end() :]


def original(returned: bytes) -> Original:
    """What is known of a returned mail from its headers, which may stand after empty lines and other text."""
    headers, _ = read_headers(returned.replace(b"\r\n", b"\n").lstrip(b"\n \t-"))
    return Original(
        message_id=headers.first("message-id").strip()[:998] or None,
        return_path=addresses.of_field(headers.first("return-path")),
        recipients=tuple(addresses.found_in(", ".join(headers.all("to")))),
        subject=headers.words("subject")[:998] or None,
    )


_DAEMON = re.compile(
    r"mailer.?d(a|e|ae)mon|post.?master|mail.?(delivery|deliver|administrator|system)|delivery (sub)?system"
    r"|system administrator|mdaemon|microsoft exchange|internet mail|errors?@|bounces?@",
    re.IGNORECASE,
)
_NAMED = re.compile(r"mailer.?d(a|e|ae)mon|mail delivery (sub)?system", re.IGNORECASE)
_ANSWER = re.compile(r"\s*(re|aw|sv|antw|fwd?|wg|회신|답장|전달|回复|答复|返信)\s?[:：]", re.IGNORECASE)
_SUBJECT = re.compile(
    r"undeliver|not delivered|non.?deliver|failure notice|returned mail|returning message|return(ed)? to sender"
    r"|(delivery|mail|message|sending|transmission)[\w\s]{0,24}(fail|error|problem|status notif|has failed)"
    r"|failed( mail)? delivery|failure delivery|could not be delivered|couldn't be delivered|delivery (report|notif)"
    r"|(mail|delivery) status|delayed mail|warning: |user unknown|rejected mail|mail.?fehler|unzustellbar|remis"
    r"|not (a )?members?\b|loop alert|mail loop|メールエラー|配信不能|配達不能|반송|(전송|발송|배달).{0,6}실패"
    r"|не доставлен|недоставлен|退信|退回"
    r"|no entregad|non remis|non recapitat|niet bezorgd|impossible de|無法傳遞|送信できません",
    re.IGNORECASE,
)
_FAILURE = re.compile(
    r"(could|can|was|were|is|has|have|did|will)( ?not|n['’]t)( be| been| able to)? ?(\w+ly )?"
    r"(be )?(deliver|reach|transmit|process|sent|received|accept)"
    r"|(unable|failed|failure|impossible) to (\w+ )?(deliver|send|transmit|reach)"
    r"|deliver(y|ing)[\w\s,:'’()-]{0,60}?(fail|error|problem|delayed|aborted|expired)"
    r"|(fail|error|problem)[\w\s]{0,40}?(deliver|sending|processing)"
    r"|undeliver(able|ed)|not delivered|permanent(ly)? (fatal )?(error|fail)|delivery errors?|invalid user address"
    r"|(address(es)?|recipients?|message|user) [\w\s()]{0,60}?(failed|rejected|had problems|had errors)"
    r"|user unknown|unknown (user|recipient)|no such user|mailbox (is )?(full|unavailable|not found)|invalid final delivery"
    r"|host unknown|quota exceeded|transcript of (the )?session|you('re| are) not (a )?members?"
    r"|duplicated message-id|mail loop"
    r"|may not exist, or you may not have permission"
    r"|送信できません|配信できません|送信に失敗|届けられません|配送できません|전송.{0,12}(실패|못|되지)|발송.{0,12}(실패|못|되지)"
    r"|배달.{0,12}(실패|못|되지|수 없)|반송|전달.{0,12}(실패|못|되지|수 없)"
    r"|не может быть доставлено|не доставлено|не удалось доставить"
    r"|退信|无法(?:投递|发送|送达)|無法傳遞|konnte nicht zugestellt|nicht zugestellt|zustellung fehlgeschlagen"
    r"|n'a pas pu être|n'a pu être"
    r"|no se (ha )?p(udo|odido) entregar|não (foi possível|pôde)|impossibile recapitare|non (è stato|e' stato) possibile"
    r"|kunde inte levereras|kon niet worden (afgeleverd|bezorgd)|nie mog",
    re.IGNORECASE,
)
_DELAY = re.compile(
    r"(has|have) (not yet been|been delayed)|(is|was|been|be|being) delayed|delayed (for|mail)|not yet (been )?delivered"
    r"|(will|to) (continue|keep)( to)? (try|be retried)|still (being retried|trying|in (the )?queue)"
    r"|(do )?not need to re-?send|warning message only|temporary failure report|will be (retried|re-?attempted)"
    r"|will (try|attempt) (again|to (re)?deliver)|attempts? will continue|still undelivered|not re-?send your"
    r"|delivery is delayed|지연|遅れて|遅延|задержан",
    re.IGNORECASE,
)
_FINAL = re.compile(
    r"giv(e|en|ing) up|gave up|not going to try|stopped trying|permanent (fatal )?(error|fail)|failed permanently"
    r"|no further (delivery )?attempts|has been returned",
    re.IGNORECASE,
)


def from_daemon(mail: Mail) -> bool:
    """Sent by a mail system, as far as its header says."""
    sender = mail.headers.words("from")
    return not addresses.found_in(sender) or _DAEMON.search(sender) is not None or mail.report_type == "delivery-status"


def from_nobody(mail: Mail) -> bool:
    """Sent with the empty envelope sender of notifications (RFC 5321 section 4.5.5); automatic answers have it too."""
    return mail.headers.first("return-path").strip() == "<>"


def from_named_daemon(mail: Mail) -> bool:
    """Sent by what calls itself a mailer daemon."""
    return _NAMED.search(mail.headers.words("from")) is not None


def subject_fails(mail: Mail) -> bool:
    return _SUBJECT.search(mail.headers.words("subject")) is not None


def is_answer(mail: Mail) -> bool:
    """The subject of a mail written or forwarded by a person."""
    return _ANSWER.match(mail.headers.words("subject")) is not None


def hints_failure(mail: Mail) -> bool:
    return re.search(r"fail|return|undeliver|error|problem", mail.headers.words("subject"), re.IGNORECASE) is not None


def tells_failure(words: str) -> bool:
    return _FAILURE.search(_line(words)) is not None


def tells_delay(words: str) -> bool:
    """The mail waits and will be tried again."""
    line = _line(words)
    return _DELAY.search(line) is not None and _FINAL.search(line) is None


def _line(words: str) -> str:
    return " ".join(words[:8000].split())
