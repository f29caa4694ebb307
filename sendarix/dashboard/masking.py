"""What people see who may not see addresses and bodies in full."""


def masked_address(text: str) -> str:
    """`Kim <kim@example.com>` as `k•••@example.com`: enough to compare, not to write to."""
    spec = text.rpartition("<")[2].rstrip("> ") if "<" in text else text
    local, at, domain = spec.rpartition("@")
    return f"{local[:1]}•••@{domain}" if at else "•••"
