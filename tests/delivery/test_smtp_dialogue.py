"""The ordinary course of an SMTP dialogue: what is said, in which groups, and what is believed."""

import asyncio

import pytest

from messaging.delivery.outcomes import Cause, Outcome, Phase, Verdict
from messaging.delivery.smtp import Session
from tests.delivery.smtp_sink import Drop, SmtpSink
from tests.delivery.talking import LIMITS, TEXT, letter, no, peer, talk, yes

PLAIN = ("8BITMIME", "SMTPUTF8")


def test_a_message_is_delivered_with_one_dot():
    with SmtpSink() as sink:
        [outcome] = talk(sink)
        assert (outcome.verdict, outcome.cause, outcome.phase) == (Verdict.DELIVERED, None, Phase.DONE)
        assert (outcome.reply.code, outcome.reply.enhanced) == (250, "2.0.0")
        assert (outcome.mx, outcome.address, outcome.tls) == ("sink.test", "127.0.0.1", None)
        assert sink.dots == 1
        [seen] = sink.transactions
        assert (seen.sender, seen.recipients, seen.wire) == ("no-reply@hanbit.example", ["kim@example.com"], TEXT)


def test_mail_rcpt_and_data_go_in_one_group_where_the_server_pipelines():
    with SmtpSink() as sink:
        talk(sink)
        assert sink.sessions[0].groups[0] == ["EHLO out.hanbit.example"]
        assert [line.split()[0] for line in sink.sessions[0].groups[1]] == ["MAIL", "RCPT", "DATA"]


def test_without_pipelining_every_command_waits_for_its_reply():
    with SmtpSink(extensions=PLAIN) as sink:
        [outcome] = talk(sink)
        assert outcome.verdict is Verdict.DELIVERED
        assert all(len(group) <= 1 for group in sink.sessions[0].groups)


def test_a_connection_is_used_again_without_rset_after_success():
    with SmtpSink() as sink:
        outcomes = talk(sink, letter(), letter(recipient="lee@example.com"), letter(recipient="park@example.com"))
        assert [outcome.verdict for outcome in outcomes] == [Verdict.DELIVERED] * 3
        assert len(sink.sessions) == 1
        assert "RSET" not in sink.sessions[0].commands
        assert sink.sessions[0].commands[-1] == "QUIT"


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
def test_after_a_refused_recipient_the_next_message_starts_with_rset(extensions):
    with SmtpSink({"rcpt": ["550 5.1.1 no such user"]}, extensions=extensions) as sink:
        first, second = talk(sink, letter(recipient="ghost@example.com"), letter())
        assert (first.verdict, first.cause, first.phase) == (Verdict.BOUNCED, Cause.MAILBOX_UNKNOWN, Phase.RCPT)
        assert second.verdict is Verdict.DELIVERED
        assert len(sink.sessions) == 1
        assert sink.sessions[0].commands.count("RSET") == 1
        assert sink.dots == 1


@pytest.mark.parametrize("extensions", [("PIPELINING",), ()])
@pytest.mark.parametrize(("stage", "phase"), [("mail", Phase.MAIL), ("rcpt", Phase.RCPT), ("data", Phase.DATA)])
def test_a_refusal_names_its_phase_and_sends_no_content(extensions, stage, phase):
    with SmtpSink({stage: "451 4.3.0 database away"}, extensions=extensions) as sink:
        [outcome] = talk(sink)
        assert (outcome.verdict, outcome.cause, outcome.phase) == (Verdict.DEFERRED, Cause.SYSTEM, phase)
        assert sink.transactions == []


@pytest.mark.parametrize("stage", ["mail", "rcpt"])
def test_a_server_that_takes_data_for_a_refused_envelope_gets_neither_content_nor_dot(stage):
    with SmtpSink({stage: ["550 5.7.1 no"], "data": "354 go on anyway"}) as sink:
        first, *_ = outcomes = talk(sink, letter())
        assert first.verdict is Verdict.BOUNCED
        assert sink.wait_for(lambda sink: sink.sessions[0].ended)
        assert (sink.dots, [seen.wire for seen in sink.transactions]) == (0, [b""])
        assert len(outcomes) == 1


@pytest.mark.parametrize(
    ("reply", "verdict", "cause"),
    [
        ("250 2.0.0 queued", Verdict.DELIVERED, None),
        ("450 4.2.2 mailbox full", Verdict.DEFERRED, Cause.MAILBOX_FULL),
        ("554 5.7.1 spam", Verdict.BOUNCED, Cause.CONTENT),
        ("421 4.3.0 going down", Verdict.DEFERRED, Cause.SYSTEM),
        ("354 what?", Verdict.UNCERTAIN, Cause.UNCERTAIN),
    ],
)
def test_a_reply_to_the_dot_is_the_verdict(reply, verdict, cause):
    with SmtpSink({"dot": reply}) as sink:
        [outcome] = talk(sink)
        assert (outcome.verdict, outcome.cause) == (verdict, cause)
        assert outcome.phase is (Phase.DONE if verdict is Verdict.DELIVERED else Phase.DOT)
        assert sink.dots == 1


def test_a_refused_dot_keeps_the_connection():
    with SmtpSink({"dot": ["554 5.7.1 spam"]}) as sink:
        outcomes = talk(sink, letter(), letter())
        assert [outcome.verdict for outcome in outcomes] == [Verdict.BOUNCED, Verdict.DELIVERED]
        assert len(sink.sessions) == 1


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
def test_after_421_the_connection_is_not_used_again(stage):
    async def story(to) -> tuple[Outcome, bool]:
        session = await Session.open(to, LIMITS)
        outcome = await session.deliver(letter(), yes)
        usable = session.reusable
        session.abort()
        return outcome, usable

    with SmtpSink({stage: "421 4.3.2 shutting down"}) as sink:
        outcome, usable = asyncio.run(story(peer(sink)))
        assert (outcome.verdict, outcome.reply.code) == (Verdict.DEFERRED, 421)
        assert not usable
        assert not outcome.stale


def test_before_dot_is_asked_once_the_content_is_out_and_before_the_dot():
    seen = []

    with SmtpSink() as sink:

        async def mark() -> bool:
            await asyncio.to_thread(sink.wait_for, lambda sink: sink.transactions)
            seen.append((len(sink.transactions), sink.dots))
            return True

        [outcome] = talk(sink, before_dot=mark)
        assert outcome.verdict is Verdict.DELIVERED
        assert seen == [(1, 0)]


def test_without_the_mark_no_dot_is_sent():
    with SmtpSink() as sink:
        [outcome] = talk(sink, before_dot=no)
        assert (outcome.verdict, outcome.cause, outcome.phase) == (Verdict.DEFERRED, Cause.SYSTEM, Phase.BODY)
        assert not outcome.elsewhere
        assert sink.wait_for(lambda sink: sink.sessions[0].ended)
        assert (sink.dots, len(sink.transactions)) == (0, 1)


def test_a_mark_that_fails_goes_through_and_no_dot_is_sent():
    async def database_away() -> bool:
        raise ConnectionError("database away")

    with SmtpSink() as sink:
        with pytest.raises(ConnectionError, match="database away"):
            talk(sink, before_dot=database_away)
        assert sink.wait_for(lambda sink: sink.sessions[0].ended)
        assert sink.dots == 0


def test_a_cancelled_delivery_leaves_no_dot_behind():
    async def story(to) -> None:
        session = await Session.open(to, LIMITS)
        delivery = asyncio.create_task(session.deliver(letter(), asyncio.Event().wait))
        await asyncio.sleep(0.1)
        delivery.cancel()
        with pytest.raises(asyncio.CancelledError):
            await delivery
        assert not session.reusable

    with SmtpSink() as sink:
        asyncio.run(story(peer(sink)))
        assert sink.wait_for(lambda sink: sink.sessions[0].ended)
        assert sink.dots == 0


@pytest.mark.parametrize("code", ["500", "502", "504"])
def test_a_server_without_ehlo_is_greeted_with_helo(code):
    with SmtpSink({"ehlo": f"{code} 5.5.1 never heard of it"}) as sink:
        [outcome] = talk(sink)
        assert outcome.verdict is Verdict.DELIVERED
        assert sink.sessions[0].commands[1] == "HELO out.hanbit.example"
        assert len(sink.sessions[0].groups[2]) == 1


def test_size_and_parameters_are_said_only_where_offered():
    korean = letter(
        "Subject: 안녕\r\n\r\n하하\r\n".encode(), recipient="김@예시.example", smtputf8=True, eight_bit=True
    )
    with SmtpSink(extensions=("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 100000")) as sink:
        [outcome] = talk(sink, korean)
        assert outcome.verdict is Verdict.DELIVERED
        [seen] = sink.transactions
        assert seen.mail == f"MAIL FROM:<no-reply@hanbit.example> SIZE={korean.size} BODY=8BITMIME SMTPUTF8"
        assert seen.recipients == ["김@예시.example"]
    with SmtpSink(extensions=()) as sink:
        talk(sink)
        assert sink.transactions[0].mail == "MAIL FROM:<no-reply@hanbit.example>"


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"size": 5001}, Cause.TOO_LARGE),
        ({"smtputf8": True, "recipient": "김@example.com"}, Cause.SMTPUTF8_UNSUPPORTED),
        ({"eight_bit": True}, Cause.CONTENT),
        ({"recipient": "김@example.com"}, Cause.CONTENT),
        ({"recipient": "kim@example.com>\r\nRCPT TO:<lee@example.com"}, Cause.CONTENT),
        ({"sender": "a b@example.com"}, Cause.CONTENT),
    ],
)
def test_what_the_server_can_not_take_is_refused_without_a_word(changes, cause):
    with SmtpSink(extensions=("PIPELINING", "SIZE 5000")) as sink:
        first, second = talk(sink, letter(**changes), letter(size=5000))
        assert (first.verdict, first.cause) == (Verdict.BOUNCED, cause)
        assert second.verdict is Verdict.DELIVERED
        assert [line.split()[0] for line in sink.sessions[0].commands] == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]


def test_a_size_of_zero_means_no_limit():
    with SmtpSink(extensions=("PIPELINING", "SIZE 0")) as sink:
        [outcome] = talk(sink, letter(size=10**9))
        assert outcome.verdict is Verdict.DELIVERED


def test_the_null_sender_may_be_used():
    with SmtpSink() as sink:
        talk(sink, letter(sender=""))
        assert sink.transactions[0].mail == "MAIL FROM:<>"


def test_a_kept_connection_that_the_server_closed_is_seen_before_it_is_used():
    async def story(to) -> tuple[bool, bool]:
        session = await Session.open(to, LIMITS)
        await session.deliver(letter(), yes)
        before = session.reusable
        await asyncio.to_thread(sink.stop)
        await asyncio.sleep(0.05)
        return before, session.reusable

    with SmtpSink() as sink:
        assert asyncio.run(story(peer(sink))) == (True, False)


@pytest.mark.parametrize("goodbye", [Drop(), "421 4.4.2 idle too long"])
def test_a_kept_connection_that_dies_at_mail_is_stale_and_a_fresh_one_is_not(goodbye):
    with SmtpSink({"mail": [None, goodbye]}) as sink:
        first, second = talk(sink, letter(), letter())
        assert first.verdict is Verdict.DELIVERED
        assert (second.verdict, second.stale, second.elsewhere) == (Verdict.DEFERRED, True, True)
    with SmtpSink({"mail": goodbye}) as sink:
        [only] = talk(sink)
        assert (only.verdict, only.stale) == (Verdict.DEFERRED, False)


def test_a_verdict_given_before_the_server_left_still_counts():
    with SmtpSink({"rcpt": "550 5.1.1 no such user", "data": Drop()}) as sink:
        [outcome] = talk(sink)
        assert (outcome.verdict, outcome.cause) == (Verdict.BOUNCED, Cause.MAILBOX_UNKNOWN)


def test_a_multi_line_reply_is_one_reply():
    with SmtpSink({"rcpt": "550-5.1.1 no such user\n5.1.1 here"}) as sink:
        [outcome] = talk(sink)
        assert outcome.reply.text == "no such user\nhere"
        assert outcome.reply.enhanced == "5.1.1"
