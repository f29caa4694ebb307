"""Complaints: feedback reports (RFC 5965), and what is sent in their stead."""

import json
from pathlib import Path

import pytest

from messaging.delivery.outcomes import Cause
from messaging.inbound.bounces.reading import read
from messaging.inbound.bounces.reports import Bounce, Complaint, FeedbackType

CORPORA = Path(__file__).parent / "corpora"


def complaint(name: str) -> Complaint:
    report = read((CORPORA / f"{name}.eml").read_bytes())
    assert isinstance(report, Complaint), report
    return report


@pytest.mark.parametrize(
    ("name", "kind", "recipients"),
    [
        ("arf-abuse", FeedbackType.ABUSE, ("jan@globex.example",)),
        ("arf-redacted", FeedbackType.OPT_OUT, ()),
        ("arf-auth-failure", FeedbackType.AUTH_FAILURE, ("jan@globex.example",)),
        ("arf-not-spam", FeedbackType.NOT_SPAM, ("jan@globex.example",)),
        ("microsoft-junk", FeedbackType.ABUSE, ("jan@hotmail.example",)),
        ("unsubscribe", FeedbackType.OPT_OUT, ("jan@globex.example",)),
    ],
)
def test_a_complaint_tells_its_type_and_recipients(name, kind, recipients):
    report = complaint(name)
    assert (report.feedback_type, report.recipients) == (kind, recipients)


@pytest.mark.parametrize("name", ["arf-abuse", "arf-redacted", "arf-auth-failure", "microsoft-junk"])
def test_a_complaint_tells_which_mail_it_is_about(name):
    original = complaint(name).original
    assert (original.message_id, original.return_path) == ("<msg_01@acme.example>", "b-1@bounce.acme.example")


def test_a_complaint_tells_who_reports_and_when_the_mail_came():
    report = complaint("arf-abuse")
    assert (report.user_agent, report.source_ip) == ("SomeGenerator/1.0", "192.0.2.1")
    assert report.arrival == "Tue, 24 Nov 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("ABUSE", FeedbackType.ABUSE),
        ("fraud", FeedbackType.FRAUD),
        ("virus", FeedbackType.VIRUS),
        ("x-new", FeedbackType.OTHER),
    ],
)
def test_feedback_types_are_read_in_any_case_and_new_ones_are_other(written, kind):
    raw = (CORPORA / "arf-abuse.eml").read_bytes()
    report = read(raw.replace(b"Feedback-Type: abuse", f"Feedback-Type: {written}".encode()))
    assert isinstance(report, Complaint)
    assert report.feedback_type is kind


def sns(news: dict) -> bytes:
    return b"From: no-reply@sns.example\nSubject: Notification\n\n" + json.dumps({"Message": json.dumps(news)}).encode()


def test_a_complaint_mailed_by_sns_is_read():
    news = {
        "notificationType": "Complaint",
        "complaint": {"complainedRecipients": [{"emailAddress": "jan@globex.example"}]},
    }
    report = read(sns(news))
    assert isinstance(report, Complaint)
    assert report.recipients == ("jan@globex.example",)


def test_a_bounce_mailed_by_sns_is_read():
    failed = {"emailAddress": "jan@globex.example", "diagnosticCode": "smtp; 550 5.1.1 user unknown"}
    report = read(
        sns({"notificationType": "Bounce", "bounce": {"bounceType": "Permanent", "bouncedRecipients": [failed]}})
    )
    assert isinstance(report, Bounce)
    assert (report.recipients[0].address, report.recipients[0].cause) == ("jan@globex.example", Cause.MAILBOX_UNKNOWN)
