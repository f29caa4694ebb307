"""Whether the DKIM, ownership, return-path and DMARC records of a domain are right, and if not, what is wrong with them, in words
for the person who edits the zone. SPF has a module of its own. Knows no tables."""

import re

from messaging.domains import names
from messaging.domains.lookups import Found, Lookups
from messaging.domains.verdicts import Finding, missing, ok, unanswered, wrong

MOST_ALIASES = 8
ONE_STRING = 255
"""Octets that one string of a TXT record can hold (RFC 1035 section 3.3)."""


class SyntaxFault(ValueError):
    """A tag list that can't be read; the message says where."""


def tags(text: str) -> dict[str, str]:
    """A tag=value list as DKIM and DMARC write it (RFC 6376 section 3.2). Raises SyntaxFault."""
    found: dict[str, str] = {}
    for part in text.split(";"):
        if not part.strip():
            continue
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name):
            raise SyntaxFault(f"{_short(part.strip())!r} is no tag=value")
        if name in found:
            raise SyntaxFault(f"the tag {name}= is there twice")
        found[name] = value
    return found


async def dkim(lookups: Lookups, host: str, algorithm: str, public_key: str) -> Finding:
    """The key record at `host` (RFC 6376 section 3.6.1) against the key we sign with."""
    found = await lookups.txt(host)
    if found.failure:
        return unanswered(found)
    match found.values:
        case ():
            return missing(_nothing_at(host, found))
        case (value,):
            return _dkim_key(value, algorithm, public_key)
    return wrong(
        f"{len(found.values)} TXT records stand at {host}; receivers may take any of them. Keep only ours.",
        *found.values,
    )


def _dkim_key(value: str, algorithm: str, public_key: str) -> Finding:
    if '"' in value:
        return wrong(
            "The record holds quotation marks; they belong around the value in a zone file, not into it.", value
        )
    try:
        found = tags(value.replace("\\;", ";"))
    except SyntaxFault as fault:
        return wrong(f"The record can't be read: {fault}.", value)
    published = re.sub(r"\s", "", found.get("p", ""))
    kind = found.get("k", "rsa").lower()
    if found.get("v", "DKIM1") != "DKIM1":
        return wrong("The record is no DKIM key: v= is not DKIM1.", value)
    if "p" not in found:
        return wrong("The record has no p= tag, which holds the key.", value)
    if not published:
        return wrong("The key is revoked: p= is empty.", value)
    if kind != algorithm:
        return wrong(f"The record says k={_short(kind)}; ours is a key of k={algorithm}.", value)
    if published != public_key:
        return wrong(_other_key(value, published, public_key), value)
    return _dkim_terms(value, found)


def _dkim_terms(value: str, found: dict[str, str]) -> Finding:
    """Our key; is it published for what we do with it?"""
    if "h" in found and "sha256" not in _items(found["h"]):
        return wrong(f"h={_short(found['h'])} forbids SHA-256, which we sign with.", value)
    if "s" in found and not {"*", "email"} & set(_items(found["s"])):
        return wrong(f"s={_short(found['s'])} does not allow the key for e-mail.", value)
    flags = _items(found.get("t", ""))
    remarks = ["The key is published."]
    if "y" in flags:
        remarks.append("t=y says that you are only testing: receivers may ignore the signature.")
    if "s" in flags:
        remarks.append("t=s makes signatures fail on mail from subdomains.")
    return ok(" ".join(remarks), value)


def _other_key(value: str, published: str, public_key: str) -> str:
    if not public_key.startswith(published):
        return "Another key is published here than the one we sign with."
    if len(value) >= ONE_STRING - 2 and len(value) <= ONE_STRING:
        return f"The DKIM record is cut after {len(value)} characters: publish it as several strings of up to 255 characters."
    return (
        f"The DKIM record is cut: only the first {len(published)} of {len(public_key)} characters of the key are there."
    )


async def ownership(lookups: Lookups, host: str, expected: str) -> Finding:
    """Our token among the TXT records at `host`; others may stand beside it."""
    found = await lookups.txt(host)
    if found.failure:
        return unanswered(found)
    if expected in (value.strip() for value in found.values):
        return ok("The ownership record is published.", expected)
    if not found.values:
        return missing(_nothing_at(host, found))
    return wrong("Only other values stand here; add ours beside them.", *found.values)


async def return_path(lookups: Lookups, host: str, target: str) -> Finding:
    """A CNAME (over at most 8 others) to the host that takes bounces, or an MX record that names it."""
    chain: list[str] = []
    name = host
    while len(chain) < MOST_ALIASES:
        alias = await lookups.find(name, "CNAME")
        if alias.failure:
            return unanswered(alias)
        if not alias.values:
            break
        name = alias.values[0]
        chain.append(name)
        if name == target:
            return ok("Bounces come back to us.", *chain)
    mail = await lookups.find(host, "MX")
    if mail.failure:
        return unanswered(mail)
    if any(value.split()[1] == target for value in mail.values):
        return ok("Bounces come back to us, by an MX record.", *mail.values)
    if chain:
        return wrong(f"{host} is an alias of {chain[0]}, not of {target}.", *chain)
    if mail.values:
        return wrong(f"Mail to {host} goes elsewhere, not to {target}.", *mail.values)
    return missing(f"There is neither a CNAME nor an MX record at {host}.")


async def dmarc(lookups: Lookups, domain: str) -> Finding:
    """The DMARC record of the domain, else of its organisational domain (RFC 7489 section 6.6.3)."""
    for name in dict.fromkeys([domain, names.organisational(domain)]):
        found = await lookups.txt(f"_dmarc.{name}")
        if found.failure:
            return unanswered(found)
        policies = [value for value in found.values if re.match(r"v\s*=\s*DMARC1\s*(;|$)", value)]
        if len(policies) > 1:
            return wrong(f"{len(policies)} DMARC records stand at _dmarc.{name}; receivers then apply none.", *policies)
        if policies:
            return _policy(policies[0], name, domain)
        if any("dmarc1" in value.lower() for value in found.values):
            return wrong(
                f"The record at _dmarc.{name} must begin with v=DMARC1, in capitals, and a semicolon.", *found.values
            )
    return missing("There is no DMARC record; some large receivers ask for one.")


def _policy(value: str, name: str, domain: str) -> Finding:
    try:
        found = tags(value)
    except SyntaxFault as fault:
        return wrong(f"The DMARC record can't be read: {fault}.", value)
    policy = found.get("p", "").lower()
    if policy not in ("none", "quarantine", "reject"):
        return wrong("The DMARC record needs p=none, p=quarantine or p=reject.", value)
    inherited = name != domain
    applied = found.get("sp", policy).lower() if inherited else policy
    shown = _short(applied)
    remarks = [f"The DMARC policy (of {name}) is {shown}." if inherited else f"The DMARC policy is {shown}."]
    if not re.match(r"mailto:[^@\s]+@[^@\s]+", found.get("rua", ""), re.I):
        remarks.append("No reports are asked for: rua=mailto:… would tell you who sends in your name.")
    if found.get("adkim", "r").lower() == "s":
        remarks.append(
            f"adkim=s: only mail from {domain} itself aligns with our signature, not mail from its subdomains."
        )
    if found.get("aspf", "r").lower() == "s":
        remarks.append("aspf=s: our return path does not align; the DKIM signature has to.")
    return ok(" ".join(remarks), value)


def _nothing_at(host: str, found: Found) -> str:
    return f"There is no TXT record at {host}." if found.exists else f"The name {host} does not exist."


def _items(text: str) -> list[str]:
    return [item.strip().lower() for item in text.split(":")]


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}…"
