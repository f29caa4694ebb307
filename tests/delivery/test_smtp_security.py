"""TLS and AUTH: what is encrypted, what is believed, and what is never said in clear."""

import socket
import ssl

import pytest
import trustme

from messaging.delivery.outcomes import Cause, Phase, Verdict
from messaging.delivery.smtp import Peer, TlsPolicy
from tests.delivery.smtp_sink import Drop, Raw, SmtpSink
from tests.delivery.talking import letter, talk

NONE, OPPORTUNISTIC, REQUIRED, IMPLICIT = TlsPolicy
LOGIN = ("hanbit", "s3cret-pässword")
AS_HANBIT = {"username": LOGIN[0], "password": LOGIN[1]}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_tls(authority) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("sink.test").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def wrong_name_tls(authority) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("other.test").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def trusting(authority) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_opportunistic_tls_takes_any_certificate_and_greets_again(server_tls):
    with SmtpSink(tls=server_tls) as sink:
        first, second = talk(sink, letter(), letter(), tls=OPPORTUNISTIC)
        assert (first.verdict, first.tls) == (Verdict.DELIVERED, "TLSv1.3")
        assert second.verdict is Verdict.DELIVERED
        commands = [command.split()[0] for command in sink.sessions[0].commands]
        assert commands[:4] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]
        assert sink.transactions[0].tls == "TLSv1.3"


def test_opportunistic_goes_on_in_clear_where_nothing_is_offered():
    with SmtpSink() as sink:
        [outcome] = talk(sink, tls=OPPORTUNISTIC)
        assert (outcome.verdict, outcome.tls) == (Verdict.DELIVERED, None)


def test_opportunistic_goes_on_in_clear_where_starttls_is_refused(server_tls):
    with SmtpSink({"starttls": "454 4.7.0 TLS not available"}, tls=server_tls) as sink:
        [outcome] = talk(sink, tls=OPPORTUNISTIC)
        assert (outcome.verdict, outcome.tls) == (Verdict.DELIVERED, None)
        assert len(sink.sessions) == 1


@pytest.mark.parametrize("breakage", [Drop(), Raw(b"220 go ahead\r\n", close=True)])
def test_opportunistic_tries_once_more_in_clear_when_the_handshake_fails(server_tls, breakage):
    with SmtpSink({"starttls": breakage}, tls=server_tls) as sink:
        [outcome] = talk(sink, tls=OPPORTUNISTIC)
        assert (outcome.verdict, outcome.tls) == (Verdict.DELIVERED, None)
        assert len(sink.sessions) == 2
        assert "STARTTLS" not in sink.sessions[1].commands


def test_required_tls_with_a_good_certificate_delivers(server_tls, trusting):
    with SmtpSink(tls=server_tls) as sink:
        [outcome] = talk(sink, tls=REQUIRED, tls_context=trusting)
        assert (outcome.verdict, outcome.tls) == (Verdict.DELIVERED, "TLSv1.3")


@pytest.mark.parametrize(
    ("script", "offered"),
    [({}, False), ({"starttls": "454 4.7.0 not now"}, True), ({"starttls": Raw(b"220 go\r\n", close=True)}, True)],
)
def test_required_tls_never_goes_on_in_clear(server_tls, script, offered):
    with SmtpSink(script, tls=server_tls if offered else None) as sink:
        [outcome] = talk(sink, tls=REQUIRED, verify=False)
        assert (outcome.verdict, outcome.cause, outcome.phase) == (Verdict.DEFERRED, Cause.TLS, Phase.STARTTLS)
        assert (len(sink.sessions), sink.transactions) == (1, [])


def test_required_tls_checks_the_certificate(server_tls, wrong_name_tls, trusting):
    with SmtpSink(tls=server_tls) as sink:
        [unknown] = talk(sink, tls=REQUIRED)
        assert (unknown.verdict, unknown.cause) == (Verdict.DEFERRED, Cause.TLS)
        assert "CERTIFICATE_VERIFY_FAILED" in unknown.detail
    with SmtpSink(tls=wrong_name_tls) as sink:
        [wrong] = talk(sink, tls=REQUIRED, tls_context=trusting)
        assert wrong.cause is Cause.TLS
        assert "sink.test" in wrong.detail
        assert sink.transactions == []


def test_opportunistic_that_was_told_to_verify_does_not_fall_back(server_tls):
    with SmtpSink(tls=server_tls) as sink:
        [outcome] = talk(sink, tls=OPPORTUNISTIC, verify=True)
        assert (outcome.verdict, outcome.cause) == (Verdict.DEFERRED, Cause.TLS)
        assert len(sink.sessions) == 1


def test_required_tls_without_verifying_takes_any_certificate(server_tls):
    with SmtpSink(tls=server_tls) as sink:
        [outcome] = talk(sink, tls=REQUIRED, verify=False)
        assert outcome.verdict is Verdict.DELIVERED


def test_implicit_tls_encrypts_from_the_first_byte(server_tls, trusting):
    with SmtpSink(tls=server_tls, implicit=True) as sink:
        [outcome] = talk(sink, tls=IMPLICIT, tls_context=trusting)
        assert (outcome.verdict, outcome.tls) == (Verdict.DELIVERED, "TLSv1.3")
        assert "STARTTLS" not in sink.sessions[0].commands


def test_implicit_tls_to_a_plain_server_defers():
    with SmtpSink() as sink:
        [outcome] = talk(sink, tls=IMPLICIT, verify=False)
        assert (outcome.verdict, outcome.cause, outcome.phase) == (Verdict.DEFERRED, Cause.TLS, Phase.STARTTLS)


@pytest.mark.parametrize("policy", [OPPORTUNISTIC, REQUIRED])
def test_bytes_in_clear_behind_the_starttls_answer_end_the_connection(server_tls, policy):
    injected = Raw(b"220 go ahead\r\n250-sink.test\r\n250 AUTH PLAIN\r\n")
    with SmtpSink({"starttls": injected}, tls=server_tls, login=LOGIN) as sink:
        [outcome] = talk(sink, tls=policy, verify=False, **AS_HANBIT)
        assert (outcome.verdict, outcome.cause, outcome.phase) == (Verdict.DEFERRED, Cause.TLS, Phase.STARTTLS)
        assert (len(sink.sessions), sink.sessions[0].logins) == (1, [])


def test_what_was_offered_in_clear_is_forgotten_after_starttls(server_tls):
    offers = ["250 sink.test\nPIPELINING\nSIZE 10\nSTARTTLS", "250 sink.test"]
    with SmtpSink({"ehlo": offers}, tls=server_tls) as sink:
        [outcome] = talk(sink, tls=OPPORTUNISTIC)
        assert outcome.verdict is Verdict.DELIVERED
        assert all(len(group) <= 1 for group in sink.sessions[0].groups)


@pytest.mark.parametrize("mechanisms", ["PLAIN", "LOGIN", "LOGIN PLAIN", "CRAM-MD5 login"])
def test_we_log_in_with_plain_or_login(server_tls, mechanisms):
    with SmtpSink(tls=server_tls, login=LOGIN, mechanisms=mechanisms) as sink:
        [outcome] = talk(sink, tls=REQUIRED, verify=False, **AS_HANBIT)
        assert outcome.verdict is Verdict.DELIVERED
        assert sink.sessions[0].logins == [LOGIN]
        wanted = "PLAIN" if "PLAIN" in mechanisms else "LOGIN"
        assert any(command.startswith(f"AUTH {wanted}") for command in sink.sessions[0].commands)


def test_login_is_tried_when_the_server_does_not_do_plain_after_all():
    with SmtpSink({"auth": ["504 5.5.4 not that one"]}, login=LOGIN) as sink:
        [outcome] = talk(sink, **AS_HANBIT)
        assert outcome.verdict is Verdict.DELIVERED
        assert sum(command.startswith("AUTH") for command in sink.sessions[0].commands) == 2


def test_a_long_password_follows_the_prompt():
    login = ("hanbit", "x" * 600)
    with SmtpSink(login=login) as sink:
        [outcome] = talk(sink, username=login[0], password=login[1])
        assert outcome.verdict is Verdict.DELIVERED
        assert "AUTH PLAIN" in sink.sessions[0].commands


def test_a_wrong_password_is_a_fault_of_the_route_and_is_said_once():
    with SmtpSink(login=LOGIN) as sink:
        [outcome] = talk(sink, username="hanbit", password="wrong")
        assert (outcome.verdict, outcome.cause, outcome.phase) == (Verdict.DEFERRED, Cause.AUTH, Phase.AUTH)
        assert outcome.reply.code == 535
        assert "wrong" not in repr(sink.sessions[0].commands)
        assert len(sink.sessions[0].logins) == 1


def test_no_common_mechanism_defers():
    with SmtpSink(login=LOGIN, mechanisms="CRAM-MD5") as sink:
        [outcome] = talk(sink, **AS_HANBIT)
        assert (outcome.verdict, outcome.cause) == (Verdict.DEFERRED, Cause.AUTH)
        assert "CRAM-MD5" in outcome.detail


def test_a_password_never_crosses_the_network_in_clear(own_address):
    with SmtpSink(host=own_address, login=LOGIN) as sink:
        [outcome] = talk(sink, tls=OPPORTUNISTIC, **AS_HANBIT)
        assert (outcome.verdict, outcome.cause, outcome.phase) == (Verdict.DEFERRED, Cause.AUTH, Phase.AUTH)
        assert sink.sessions[0].logins == []
        [allowed] = talk(sink, plaintext_auth=True, **AS_HANBIT)
        assert allowed.verdict is Verdict.DELIVERED


def test_a_password_is_not_shown():
    assert "s3cret" not in repr(Peer("mail.test", "127.0.0.1", username="hanbit", password="s3cret"))


@pytest.fixture
def own_address() -> str:
    """An address of this machine that is not loopback; no packet leaves it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has only loopback")
        return probe.getsockname()[0]
