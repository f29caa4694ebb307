"""Mail handed in by clients nobody here wrote, with AUTH under STARTTLS and under TLS from the first byte."""

import email
import email.policy
from email.message import EmailMessage

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from messaging.inbound import certificates
from messaging.models import Message
from tests import world
from tests.inbound.clients import handing_in
from tests.inbound.clients.handing_in import EVERYBODY, FILE, PDF, SECRET, SUBJECT, TEXT, Server


def names(client) -> str:
    return client.__name__


@pytest.fixture
def server(relay, key, settings, tmp_path, request) -> Server:
    """The relay, on the port that the test names."""
    trusted = tmp_path / "trusted.pem"
    own = x509.load_pem_x509_certificate(certificates.self_signed(settings.HOME).read_bytes())
    trusted.write_bytes(own.public_bytes(Encoding.PEM))
    implicit = request.param == "tls"
    return Server(relay.tls_port if implicit else relay.port, implicit, key, trusted, tmp_path)


def arrived(sink) -> dict[str, EmailMessage]:
    """What the mail server got, by recipient."""
    assert all(len(one.recipients) == 1 for one in sink.accepted)
    read = email.policy.default
    return {one.recipients[0]: email.message_from_bytes(one.content, policy=read) for one in sink.accepted}


@pytest.mark.parametrize("client", handing_in.CLIENTS, ids=names)
@pytest.mark.parametrize("server", ["starttls", "tls"], indirect=True)
def test_a_mail_of_each_client_reaches_all_its_recipients_whole(client, server, acme, sink) -> None:
    client(server)
    assert Message.objects.count() == 3
    world.drain()
    got = arrived(sink)
    assert sorted(got) == sorted(EVERYBODY)
    for letter in got.values():
        assert letter["Subject"] == SUBJECT
        assert str(letter["From"]) == "Acme <hello@acme.example>"
        assert letter.get_body(("plain",)).get_content().replace("\r\n", "\n").rstrip("\n") == TEXT.rstrip("\n")
        assert [(file.get_filename(), file.get_content()) for file in letter.iter_attachments()] == [(FILE, PDF)]


@pytest.mark.parametrize("client", handing_in.CLIENTS, ids=names)
@pytest.mark.parametrize("server", ["starttls"], indirect=True)
def test_nobody_but_the_blind_copys_reader_sees_its_address(client, server, sink) -> None:
    client(server)
    world.drain()
    others = [one.content for one in sink.accepted if one.recipients != [SECRET]]
    assert len(others) == 2
    assert not any(b"secret" in content or b"\nbcc:" in content.lower() for content in others)


@pytest.mark.parametrize(
    "client", [handing_in.curl, handing_in.msmtp, handing_in.swaks, handing_in.nodemailer], ids=names
)
@pytest.mark.parametrize("server", ["starttls"], indirect=True)
def test_each_program_tells_that_a_key_is_refused(client, server) -> None:
    with pytest.raises(AssertionError, match=r"535|Login denied"):
        client(Server(server.port, False, "sk_live_" + "x" * 40, server.trusted, server.folder))
    assert Message.objects.count() == 0
