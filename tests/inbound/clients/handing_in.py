"""Six clients, each handing in the same mail in its own way: to Kim, with a copy to Lee and a blind one to somebody else. Each
verifies the relay's certificate."""

import json
import os
import smtplib
import ssl
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from unittest.mock import patch

from django.core import mail as django_mail

from tests import peers
from tests.inbound.relaying import KIM, LEE, crlf, mail

HERE = Path(__file__).parent
SECRET = "secret@hanbit.example"
EVERYBODY = [KIM, LEE, SECRET]
SUBJECT, TEXT = "주문하신 상품이 출발했습니다", "내일 도착합니다.\n.점으로 시작하는 줄\n"
FILE, PDF = "주문서 4711.pdf", b"%PDF-1.7\n" + bytes(range(256)) * 40


@dataclass(frozen=True)
class Server:
    """Where the relay is, what it knows us by, and the certificate to trust. `implicit`: TLS from the first byte."""

    port: int
    implicit: bool
    key: str
    trusted: Path
    folder: Path


def letter() -> EmailMessage:
    """What clients that build no mail themselves are given."""
    made = mail(Cc=f"Lee <{LEE}>", Bcc=SECRET)
    made.replace_header("Subject", SUBJECT)
    made.set_content(TEXT)
    made.add_attachment(PDF, maintype="application", subtype="pdf", filename=FILE)
    return made


def run(*argv: str, given: bytes = b"") -> str:
    """A program's output; what a failing one said is the failure."""
    done = subprocess.run(argv, input=given, capture_output=True, timeout=60, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, (argv[0], done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout.decode()


def swaks(server: Server) -> None:
    program = peers.program("swaks")
    if "TLS not available" in run(program, "--support"):
        peers.missing("swaks has no TLS here (Debian: apt-get install libnet-ssleay-perl)")
    file = server.folder / FILE
    file.write_bytes(PDF)
    run(
        program, "--server", "127.0.0.1", "--port", str(server.port),
        "--tls-on-connect" if server.implicit else "--tls", "--tls-verify", "--tls-ca-path", str(server.trusted),
        "--auth", "PLAIN", "--auth-user", "anything", "--auth-password", server.key, "--timeout", "20",
        "--from", "hello@acme.example", "--to", ",".join(EVERYBODY), "--h-From", "Acme <hello@acme.example>",
        "--h-To", f"Kim <{KIM}>", "--h-Cc", LEE, "--h-Subject", SUBJECT,
        "--attach-type", "text/plain; charset=utf-8", "--attach-body", TEXT,
        "--attach-type", "application/pdf", "--attach-name", FILE, "--attach", f"@{file}",
    )  # fmt: skip


def msmtp(server: Server) -> None:
    """As `sendmail -t` that reads recipients from the mail, and takes its Bcc out."""
    settings = server.folder / "msmtprc"
    settings.write_text(
        f"account default\nhost 127.0.0.1\nport {server.port}\nfrom hello@acme.example\nauth on\nuser anything\n"
        f"password {server.key}\ntls on\ntls_starttls {'off' if server.implicit else 'on'}\n"
        f"tls_trust_file {server.trusted}\ntimeout 20\n"
    )
    settings.chmod(0o600)
    run(peers.program("msmtp"), "-C", str(settings), "-t", given=letter().as_bytes())


def curl(server: Server) -> None:
    scheme = "smtps" if server.implicit else "smtp"
    envelope = letter()
    del envelope["Bcc"]
    run(
        peers.program("curl"), "--silent", "--show-error", "--ssl-reqd", "--cacert", str(server.trusted),
        "--url", f"{scheme}://127.0.0.1:{server.port}/app.acme.example", "--user", f"anything:{server.key}",
        "--mail-from", "hello@acme.example", *(part for one in EVERYBODY for part in ("--mail-rcpt", one)), "--upload-file", "-",
        "--max-time", "30", given=crlf(envelope),
    )  # fmt: skip


def nodemailer(server: Server) -> None:
    peers.package(HERE, "nodemailer")
    secure = {"secure": True} if server.implicit else {"requireTLS": True}
    order = {
        "server": {
            **secure, "host": "127.0.0.1", "port": server.port, "auth": {"user": "anything", "pass": server.key},
            "tls": {"ca": server.trusted.read_text()},
        },
        "mail": {
            "from": "Acme <hello@acme.example>", "to": f"Kim <{KIM}>", "cc": LEE, "bcc": SECRET, "subject": SUBJECT,
            "text": TEXT, "attachments": [{"filename": FILE, "content": PDF.hex(), "encoding": "hex"}],
        },
    }  # fmt: skip
    reply = run(peers.program("node", "nodejs"), str(HERE / "hand_in.mjs"), given=json.dumps(order).encode())
    assert reply.startswith("250 2.0.0 Ok: queued as msg_")


def python(server: Server) -> None:
    trust = ssl.create_default_context(cafile=server.trusted)
    if server.implicit:
        session: smtplib.SMTP = smtplib.SMTP_SSL("127.0.0.1", server.port, context=trust, timeout=20)
    else:
        session = smtplib.SMTP("127.0.0.1", server.port, timeout=20)
        session.starttls(context=trust)
    with session:
        session.login("anything", server.key)
        assert session.send_message(letter()) == {}


def django(server: Server) -> None:
    """Its backend trusts what OpenSSL trusts, which SSL_CERT_FILE names."""
    way = {"use_ssl": True} if server.implicit else {"use_tls": True}
    backend = django_mail.get_connection(
        "django.core.mail.backends.smtp.EmailBackend", host="127.0.0.1", port=server.port, username="anything",
        password=server.key, timeout=20, **way,
    )  # fmt: skip
    made = django_mail.EmailMessage(
        SUBJECT, TEXT, "Acme <hello@acme.example>", [f"Kim <{KIM}>"], [SECRET], backend, cc=[LEE]
    )
    made.attach(FILE, PDF, "application/pdf")
    with patch.dict(os.environ, SSL_CERT_FILE=str(server.trusted)):
        assert made.send() == 1


CLIENTS: tuple[Callable[[Server], None], ...] = (swaks, msmtp, curl, nodemailer, python, django)
