"""What people see who may not see addresses and bodies in full."""

import re

_word = re.compile(r"""[^\s<>()\[\],;:"']+""")
"""What stands between blanks, brackets and the like; linear in the text, whatever it holds."""

_at = re.compile("@|＠|%40")
"""The sign as it is, as a full-width form and as in links."""


def masked_address(text: str) -> str:
    """`Kim <kim@example.com>` as `k•••@example.com`: enough to compare, not to write to."""
    spec = text.rpartition("<")[2].rstrip("> ") if "<" in text else text
    signs = list(_at.finditer(spec))
    return f"{spec[: signs[-1].start()][:1]}•••{spec[signs[-1].start() :]}" if signs else "•••"


def masked_text(text: str) -> str:
    """A text with each address in it masked: what servers say often repeats the recipient. A sign with nothing before it is no
    address."""
    return _word.sub(lambda found: masked_address(found[0]) if _at.search(found[0], 1) else found[0], text)
