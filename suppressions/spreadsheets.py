"""The list as a table that spreadsheets write and open: CSV (RFC 4180) with a header row. No cell that we write is a formula to
them, and what we write we read back as it was."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sendarix.core.errors import BadRequest

COLUMNS = ("recipient", "reason", "note", "expires_at", "message_id", "actor", "created_at")
READ = COLUMNS[:4]
"""What an import takes; a table without a header has these columns, in this order."""

MOST_LINES = 1_000_000
"""Of a table, blank ones and all."""

_OTHER_NAMES = {
    "email": "recipient",
    "e_mail": "recipient",
    "email_address": "recipient",
    "address": "recipient",
    "이메일": "recipient",
    "이메일_주소": "recipient",
    "comment": "note",
    "expires": "expires_at",
}
_begins_formula = re.compile("'*[=+\\-@\t\r\n＝＋－＠]").match


def neutral(text: str) -> str:
    """The cell, behind an apostrophe when a spreadsheet might take it for a formula (OWASP, CSV injection)."""
    return f"'{text}" if _begins_formula(text) else text


def plain(cell: str) -> str:
    """What `neutral` was given."""
    return cell[1:] if cell.startswith("'") and _begins_formula(cell) else cell


def written(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] = COLUMNS) -> Iterator[bytes]:
    """A table of rows with these columns, in UTF-8, in blocks of some kilobytes."""
    block = io.StringIO()
    writer = csv.writer(block)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([neutral(str(row[name] or "")) for name in columns])
        if block.tell() > 32_768:
            yield block.getvalue().encode()
            block.seek(0)
            block.truncate()
    yield block.getvalue().encode()


def decoded(raw: bytes) -> str:
    """UTF-8, or UTF-16 with a byte order mark, as spreadsheets write it. Raises BadRequest."""
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadRequest(f"The table is not {encoding.upper()}: {error.reason} at byte {error.start}.") from None


@dataclass(frozen=True, slots=True)
class Line:
    """One row: where it begins (from 1), its filled cells by column, and why it can't be read, if so."""

    number: int
    cells: dict[str, str] = field(default_factory=dict)
    fault: str | None = None


class Table:
    """A table to be read once. `ignored` are the columns that nobody here knows, as they are called in the table."""

    def __init__(self, text: str) -> None:
        text = text.removeprefix("\ufeff")
        self.ignored: list[str] = []
        self._rows = _rows(text, _delimiter(text))
        self._names: tuple[str, ...] = READ

    def __iter__(self) -> Iterator[Line]:
        """Rows after the header; blank ones only beyond MOST_LINES, so that somebody notices. A row that is no CSV is told, and
        what it swallowed is left out."""
        first = True
        for number, cells, fault in self._rows:
            if first and not fault and self._is_header(cells):
                first = False
                continue
            first = False
            yield Line(number, fault=fault) if fault else self._line(number, cells)

    def _is_header(self, cells: list[str]) -> bool:
        names = [_column(cell) for cell in cells]
        if "recipient" not in names:
            return False
        known = [name if name in READ and name not in names[:place] else "" for place, name in enumerate(names)]
        self.ignored = [cell.strip() for cell, name in zip(cells, known, strict=True) if not name and cell.strip()]
        self._names = tuple(known)
        return True

    def _line(self, number: int, cells: list[str]) -> Line:
        if any(cell.strip() for cell in cells[len(self._names) :]):
            return Line(number, fault=f"The row has {len(cells)} cells, but there are {len(self._names)} columns.")
        pairs = zip(self._names, cells, strict=False)
        return Line(number, {name: plain(cell) for name, cell in pairs if name and cell.strip()})


def _column(cell: str) -> str:
    name = re.sub(r"[\s-]+", "_", cell.strip().casefold())
    return _OTHER_NAMES.get(name, name)


def _delimiter(text: str) -> str:
    """What stands most often in the first line that says anything; spreadsheets put semicolons or tabs in some countries."""
    first = next((line for line in io.StringIO(text[:100_000], newline=None) if line.strip()), "")
    bare = re.sub('"[^"]*"', "", first)
    return max(",;\t", key=bare.count)


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, list[str], str | None]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        begins = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            lines = f"{begins} to {reader.line_num}" if reader.line_num > begins else f"{begins}"
            yield begins, [], f"Not CSV: {error}; line {lines} was left out."
            continue
        if begins > MOST_LINES or any(cell.strip() for cell in cells):
            yield begins, cells, None
