"""SPF records (RFC 7208): reading one, and walking through everything it refers to, as a receiver would in the worst case: how
many look-ups, how many of them void, loops, and whether our servers are included. Knows no tables."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_network

from messaging.domains.lookups import Lookups
from messaging.domains.verdicts import Finding, Verdict, missing, ok, unanswered, wrong

ALLOWED = 10
"""Terms that cause look-ups (RFC 7208 section 4.6.4)."""

VOID_ALLOWED = 2
"""Look-ups that find nothing (same section)."""

COUNTED = 40
"""Look-ups after which the walk ends: no record needs more to be wrong."""

_MACRO = r"%(?:\{[slodiphcrtv]\d{0,3}r?[.\-+,/_=]*\}|%|_|-)"
_macros = re.compile(_MACRO, re.I).search
_domain_spec = re.compile(rf"(?:{_MACRO}|[!-$&-.0-~])+", re.I).fullmatch
_directive = re.compile(
    r"([+\-~?]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?::([^/]*))?((?:/\d{1,3})?(?://\d{1,3})?)", re.I
).fullmatch
_address = re.compile(r"([+\-~?]?)(ip4|ip6):([0-9A-Fa-f:.]+(?:/\d{1,3})?)", re.I).fullmatch
_modifier = re.compile(r"([a-z][a-z0-9_.\-]*)=(.*)", re.I).fullmatch

_NEEDS_DOMAIN = {"include", "exists"}
_LOOKS_UP = {"include", "a", "mx", "ptr", "exists", "redirect"}


class SpfFault(ValueError):
    """A receiver would answer permerror; the message says why."""


class Unknown(Exception):
    """A look-up that the verdict needs got no answer."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.reason)
        self.finding = finding


@dataclass(frozen=True, slots=True)
class Term:
    """`name` is a mechanism, or `redirect`; `target` is empty for the domain itself."""

    name: str
    target: str
    qualifier: str = "+"


@dataclass(slots=True)
class Walk:
    """What a walk has seen so far. `path` guards against loops."""

    include: str
    count: int = 0
    void: int = 0
    included: bool = False
    macros: bool = False
    path: list[str] = field(default_factory=list)


def is_spf(value: str) -> bool:
    return re.match(r"v=spf1(?: |$)", value, re.I) is not None


def parse(value: str) -> list[Term]:
    """The terms a receiver looks at, those after `all` left out (section 5.1). Raises SpfFault."""
    terms: list[Term] = []
    redirect: list[Term] = []
    seen: set[str] = set()
    for text in value.split(" ")[1:]:
        if not text:
            continue
        if term := _mechanism(text):
            terms.append(term)
            continue
        modifier = _modifier(text)
        if modifier is None:
            raise SpfFault(f"the term {_short(text)!r} has no meaning in SPF")
        name, target = modifier[1].lower(), modifier[2]
        if name in ("redirect", "exp"):
            if name in seen or not _domain_spec(target):
                raise SpfFault(f"{name}= is there twice" if name in seen else f"{_short(text)!r} names no domain")
            seen.add(name)
        if name == "redirect":
            redirect.append(Term("redirect", target))
    ends = next((number for number, term in enumerate(terms) if term.name == "all"), None)
    return terms + redirect if ends is None else terms[: ends + 1]


def _mechanism(text: str) -> Term | None:
    if found := _address(text):
        _check_network(found[2].lower(), found[3])
        return Term(found[2].lower(), found[3], found[1] or "+")
    found = _directive(text)
    if found is None or found[2].lower() in ("ip4", "ip6"):
        return None
    name, target = found[2].lower(), found[3]
    if target == "" or (target is None and name in _NEEDS_DOMAIN) or (target and not _domain_spec(target)):
        raise SpfFault(f"{_short(text)!r} names no domain")
    if found[4] and name not in ("a", "mx"):
        raise SpfFault(f"{_short(text)!r} can't have a prefix length")
    if target and name == "all":
        raise SpfFault("all takes no domain")
    return Term(name, target or "", found[1] or "+")


def _check_network(name: str, text: str) -> None:
    try:
        fits = name == f"ip{ip_network(text, strict=False).version}"
    except ValueError:
        fits = False
    if not fits:
        raise SpfFault(f"{_short(text)!r} is no {name} network")


async def check(lookups: Lookups, domain: str, include: str) -> Finding:
    """The SPF record of `domain`: valid, within the limits, and with `include:<include>` somewhere in it."""
    found = await lookups.txt(domain)
    if found.failure:
        return unanswered(found)
    records = [value for value in found.values if is_spf(value)]
    if not records:
        return missing(f"There is no SPF record (v=spf1 …) at {domain}.")
    if len(records) > 1:
        return wrong(
            f"{len(records)} SPF records stand at {domain}; receivers then reject all of them. Merge them.", *records
        )
    return await _check_one(lookups, domain, include, records[0])


async def _check_one(lookups: Lookups, domain: str, include: str, record: str) -> Finding:
    walk = Walk(include.lower())
    try:
        await _follow(lookups, walk, domain, parse(record))
    except SpfFault as fault:
        return wrong(f"The SPF record fails: {fault}.", record)
    except Unknown as unknown:
        return Finding(Verdict.UNCHECKED, unknown.finding.reason, (record,))
    if walk.count > ALLOWED:
        shown = f"more than {COUNTED}" if walk.count >= COUNTED else walk.count
        return wrong(f"SPF needs {shown} lookups, {ALLOWED} are allowed.", record)
    if walk.void > VOID_ALLOWED:
        return wrong(f"{walk.void} lookups of the SPF record find nothing, {VOID_ALLOWED} may.", record)
    if any(term.name == "all" and term.qualifier == "+" for term in parse(record)):
        return wrong("The SPF record ends in +all: it lets anybody send in your name.", record)
    if not walk.included:
        proposed = merged(record, include)
        return Finding(
            Verdict.WRONG, f"The SPF record does not include us: add include:{include}.", (record,), proposed
        )
    remarks = [f"SPF includes us and needs {walk.count} of {ALLOWED} lookups."]
    if walk.macros:
        remarks.append("Terms with macros were counted but not followed.")
    return ok(" ".join(remarks), record)


async def _follow(lookups: Lookups, walk: Walk, domain: str, terms: list[Term]) -> None:
    walk.path.append(domain.lower())
    for term in terms:
        if term.name not in _LOOKS_UP or walk.count >= COUNTED:
            continue
        walk.count += 1
        target = (term.target or domain).lower().rstrip(".")
        if _macros(target):
            walk.macros = True
        elif term.name in ("include", "redirect"):
            await _enter(lookups, walk, term, target)
        elif term.name != "ptr":
            await _visit(lookups, walk, term.name, target)
    walk.path.pop()


async def _enter(lookups: Lookups, walk: Walk, term: Term, target: str) -> None:
    """Another record takes part. One that does not exist is a fault, not only void (sections 5.2 and 6.1)."""
    if target == walk.include and term.qualifier == "+":
        walk.included = True
    if target in walk.path:
        raise SpfFault(f"it includes itself: {' → '.join([*walk.path, target][-4:])}")
    found = await lookups.txt(target)
    if found.failure and target != walk.include:
        raise Unknown(unanswered(found))
    records = [value for value in found.values if is_spf(value)]
    if target == walk.include and len(records) != 1:
        return  # ours to publish, and no fault of the customer's
    if len(records) != 1:
        named = f"{term.name} {_short(target)}"
        raise SpfFault(f"{named} has {len(records)} SPF records" if records else f"{named} has no SPF record")
    try:
        terms = parse(records[0])
    except SpfFault as fault:
        raise SpfFault(f"in {_short(target)}, {fault}") from None
    await _follow(lookups, walk, target, terms)


async def _visit(lookups: Lookups, walk: Walk, name: str, target: str) -> None:
    """Addresses or mail hosts: what counts is whether there are any."""
    if name == "mx":
        found = await lookups.find(target, "MX")
        if len(found.values) > ALLOWED:
            raise SpfFault(f"mx of {_short(target)} has {len(found.values)} hosts, {ALLOWED} are allowed")
    else:
        found = await lookups.find(target, "A")
        if name == "a" and not found.values and not found.failure:
            found = await lookups.find(target, "AAAA")
    if not found.values and not found.failure:
        walk.void += 1


def merged(record: str, include: str) -> str:
    """The customer's own record with our include before what ends it."""
    words = record.split()
    place = next(
        (n for n, word in enumerate(words) if n and re.fullmatch(r"[+\-~?]?all|redirect=.*", word, re.I)), len(words)
    )
    return " ".join([*words[:place], f"include:{include}", *words[place:]])


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"
