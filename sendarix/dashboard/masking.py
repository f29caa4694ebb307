"""What people see who may not see addresses and bodies in full."""

import re

_word = re.compile(r"""[^\s<>()\[\],;:"']+""")
"""What stands between blanks, brackets and the like; linear in the text, whatever it holds."""


def masked_address(text: str) -> str:
    """`Kim <kim@example.com>` as `k•••@example.com`: enough to compare, not to write to."""
    spec = text.rpartition("<")[2].rstrip("> ") if "<" in text else text
    local, at, domain = spec.rpartition("@")
    return f"{local[:1]}•••@{domain}" if at else "•••"


def masked_text(text: str) -> str:
    """A text with each address in it masked: what servers say often repeats the recipient."""
    return _word.sub(lambda found: masked_address(found[0]) if "@" in found[0][1:] else found[0], text)
