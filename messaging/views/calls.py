"""The messages API in its document: one Call per method, in the words a customer reads."""

from messaging.serializers import BatchShape, MessageShape, RescheduleShape
from messaging.views import answers
from messaging.views.shapes import RedriveShape
from sendarix.accounts.calls import Call

_IDEMPOTENCY = {
    "Idempotency-Key": "1 to 255 visible ASCII characters, remembered for 24 hours. The same request again gets the"
    " first one's answer and sends nothing. `X-Idempotency-Key`, here or in the body's `headers`, means the same."
}
_REPLAYED = {"Idempotent-Replayed": "`true` when this is the answer of an earlier request with the same key."}

SEND = Call(
    name="sendMessage",
    summary="Send a message",
    about="Queues one message. A 202 means that it is stored and will be sent, not that it was delivered: follow its"
    " events, or read it by its `message_id`.",
    body=MessageShape,
    answer=answers.Accepted,
    status=202,
    refusals=(409,),
    request_headers=_IDEMPOTENCY,
    answer_headers=_REPLAYED,
    body_example={
        "recipient": "user@example.com",
        "subject": "Your verification code",
        "template": "otp-code",
        "template_data": {"code": "847291", "expires_in": "5 minutes"},
        "headers": {"X-Idempotency-Key": "uuid-v4-here"},
    },
    answer_example={
        "message_id": "msg_01kpk3p5gz8v6c2m9x4t7q0rde",
        "status": "queued",
        "recipient": "user@example.com",
        "created_at": "2026-04-19T14:30:00.000Z",
    },
)
LIST = Call(
    name="listMessages",
    summary="List messages",
    about="Newest first. Filters narrow together. A search that no index helps ends a page early: go on while `has_more`.",
    answer=answers.MessagePage,
)
SEND_BATCH = Call(
    name="sendBatch",
    summary="Send up to 500 messages",
    about="Each message is accepted or refused by itself, with its own result; the accepted ones are committed together."
    " The idempotency key is the call's.",
    body=BatchShape,
    answer=answers.BatchResult,
    status=202,
    refusals=(409,),
    request_headers=_IDEMPOTENCY,
    answer_headers=_REPLAYED,
    body_example={
        "messages": [
            {"recipient": "anna@example.com", "template": "welcome", "template_data": {"name": "Anna"}},
            {"recipient": "ben@example.com", "subject": "Hello", "text": "Hello, Ben."},
        ]
    },
)
VALIDATE = Call(
    name="validateMessage",
    summary="Try a message without sending it",
    about="Everything sending does, short of accepting: the resolved sender, the rendered content, the size, whether the"
    " recipient is suppressed, and the route it would take. Nothing is stored.",
    body=MessageShape,
    answer=answers.Validation,
    body_example=SEND.body_example,
)
GET = Call(
    name="getMessage",
    summary="Read a message",
    about="Where it stands, for a waiting one why and until when, and its timeline.",
    answer=answers.MessageDetail,
)
DELETE = Call(
    name="deleteMessage",
    summary="Cancel a message",
    about="While it is scheduled or waits. Canceling twice is fine; once it is being sent or has ended, the answer is 404"
    " `not_cancelable`.",
    answer=answers.MessageDetail,
)
CANCEL = Call(
    name="cancelMessage",
    summary="Cancel a message",
    about="The same as `DELETE /v1/messages/{message_id}`.",
    answer=answers.MessageDetail,
)
RESCHEDULE = Call(
    name="rescheduleMessage",
    summary="Reschedule a message",
    about="Only while it is scheduled.",
    body=RescheduleShape,
    answer=answers.MessageDetail,
    refusals=(409,),
    body_example={"scheduled_time": "2026-04-20T09:00:00+02:00"},
)
RETRY = Call(
    name="retryMessage",
    summary="Try a message again",
    about="Tries a deferred message now, or queues a dead one again with a fresh retry ladder.",
    answer=answers.MessageDetail,
    refusals=(409,),
)
ATTEMPTS = Call(
    name="listAttempts",
    summary="List the attempts of a message",
    about="Each try: its route and why, the host, TLS, the server's reply, how far it got and how long it took.",
    answer=answers.AttemptList,
)
EVENTS = Call(
    name="listEvents",
    summary="Read the feed of events",
    about="All events of the account and environment, in the order they were committed: nothing is ever inserted behind a"
    " cursor. Ask again with `next_cursor` as `after`.",
    answer=answers.EventPage,
)
DEAD_LETTERS = Call(
    name="listDeadLetters",
    summary="List dead letters",
    about="Messages that delivery gave up on, newest first, or counted by cause.",
    answer=answers.DeadLetterPage,
)
REDRIVE = Call(
    name="redriveDeadLetters",
    summary="Queue dead messages again",
    about="By id or by filter, up to 1,000 a call, each with a fresh retry ladder.",
    body=RedriveShape,
    answer=answers.Redriven,
    body_example={"filter": {"cause": "retries_exhausted"}, "dry_run": True},
)
