"""What a believable month looks like: kinds of mail, who the readers are, when mail is sent and what their servers answer."""

import functools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

SEOUL = timezone(timedelta(hours=9))


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of mail: its share of all, tier (0 critical … 3 low), tag, and subjects to fill in. `hours`: "clock" for mail
    that follows people's day, "morning" for mail sent in the morning's batch."""

    template: str | None
    share: float
    tier: int
    tag: str
    subjects: Sequence[str]
    key: str
    hours: str = "clock"
    ttl: int | None = None


KINDS = (
    Kind("otp-code", 0.44, 0, "sign-in", ("Your verification code", "인증 번호 안내"), "web", ttl=600),
    Kind("password-reset", 0.07, 1, "password", ("Reset your password", "비밀번호 재설정 안내"), "web", ttl=3600),
    Kind("welcome", 0.09, 2, "welcome", ("Welcome to Hanbit, {name}", "{name}님, 한빛에 오신 것을 환영합니다"), "web"),
    Kind("invoice", 0.13, 2, "billing", ("Invoice {number}", "{number} 청구서가 발행되었습니다"), "billing", "morning"),
    Kind(None, 0.14, 2, "orders", ("Order {number} is on its way", "주문 {number} 배송이 시작되었습니다"), "orders"),
    Kind(None, 0.05, 1, "alerts", ("New sign-in from Seoul", "새로운 기기에서 로그인했습니다"), "web"),
    Kind(None, 0.08, 3, "digest", ("Your week in review", "이번 주 소식"), "orders", "morning"),
)


@dataclass(frozen=True, slots=True)
class Host:
    """A provider that readers use: share, typical seconds to take a mail, and how often it defers or refuses."""

    domain: str
    share: float
    seconds: float
    defers: float
    bounces: float
    mx: str


HOSTS = (
    Host("gmail.com", 0.36, 0.9, 0.012, 0.007, "gmail-smtp-in.l.google.com"),
    Host("naver.com", 0.27, 1.3, 0.035, 0.010, "mx1.naver.com"),
    Host("daum.net", 0.05, 1.6, 0.03, 0.014, "mx1.hanmail.net"),
    Host("kakao.com", 0.04, 1.2, 0.02, 0.008, "mx1.hanmail.net"),
    Host("outlook.com", 0.08, 1.8, 0.03, 0.010, "outlook-com.olc.protection.outlook.com"),
    Host("icloud.com", 0.05, 1.4, 0.02, 0.006, "mx01.mail.icloud.com"),
    Host("yahoo.com", 0.03, 2.1, 0.05, 0.016, "mta5.am0.yahoodns.net"),
    Host("hanbit.example", 0.05, 0.7, 0.01, 0.004, "mx.hanbit.example"),
    Host("mirae.example", 0.04, 0.8, 0.02, 0.010, "mx.mirae.example"),
    Host("dasan.example", 0.03, 1.0, 0.08, 0.020, "mail.dasan.example"),
)

DEFERRALS = {
    "naver.com": ("greylisted", 421, "4.7.0", "Try again later (greylisting)"),
    "yahoo.com": ("rate_limited", 421, "4.7.0", "[TSS04] Messages temporarily deferred due to user complaints"),
    "outlook.com": ("rate_limited", 451, "4.7.650", "The mail server has been temporarily rate limited"),
    "dasan.example": ("mailbox_full", 452, "4.2.2", "Mailbox full"),
}
DEFERRAL = ("greylisted", 450, "4.7.1", "Recipient address rejected: Greylisted")

BOUNCES = (
    (0.62, "mailbox_unknown", 550, "5.1.1", "The email account that you tried to reach does not exist"),
    (0.12, "mailbox_disabled", 550, "5.2.1", "The email account that you tried to reach is disabled"),
    (0.10, "mailbox_full", 552, "5.2.2", "Mailbox full"),
    (0.09, "policy", 550, "5.7.1", "Message rejected by policy"),
    (0.07, "reputation", 554, "5.7.1", "Service unavailable; client host blocked"),
)

GIVEN = (
    "minji",
    "jihoon",
    "seoyeon",
    "minjun",
    "hana",
    "junho",
    "yuna",
    "dohyun",
    "soojin",
    "taeyang",
    "eunji",
    "woojin",
)
FAMILY = ("kim", "lee", "park", "choi", "jung", "kang", "cho", "yoon", "jang", "lim", "han", "oh", "seo", "shin")


@dataclass(frozen=True, slots=True)
class Incident:
    """Some hours in which one host defers most of what it gets."""

    domain: str
    began: datetime
    ended: datetime

    def holds(self, domain: str, at: datetime) -> bool:
        return domain == self.domain and self.began <= at < self.ended


def nine_after(at: datetime) -> datetime:
    """The next nine o'clock of Seoul."""
    local = at.astimezone(SEOUL)
    nine = local.replace(hour=9, minute=0, second=0, microsecond=0)
    return nine if nine > local else nine + timedelta(days=1)


def weight(at: datetime) -> float:
    """How busy the hour of `at` is: a night, a morning, an evening peak, a quieter weekend, a slow growth over the month."""
    local = at.astimezone(SEOUL)
    hour = local.hour + local.minute / 60
    day = 0.12 + max(0.0, math.sin((hour - 6) / 24 * 2 * math.pi)) * 0.5 + math.exp(-(((hour - 21) / 2.6) ** 2)) * 0.7
    return day * (0.72 if local.weekday() >= 5 else 1.0)


def morning(at: datetime) -> float:
    """As `weight`, for batches sent around nine on working days."""
    local = at.astimezone(SEOUL)
    hour = local.hour + local.minute / 60
    return (math.exp(-(((hour - 9) / 0.6) ** 2)) + 0.01) * (0.15 if local.weekday() >= 5 else 1.0)


@functools.cache
def reader(number: int) -> tuple[str, str, Host]:
    """Name, address and host of one of the readers, always the same for a number."""
    own = random.Random(number)
    given, family = own.choice(GIVEN), own.choice(FAMILY)
    host = own.choices(HOSTS, [host.share for host in HOSTS])[0]
    return given.title(), f"{given}.{family}{number}@{host.domain}", host
