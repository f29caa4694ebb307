"""Queues in the API's document: one Call per method."""

from messaging.views import queue_answers as answers
from messaging.views.queue_shapes import PauseShape, PurgeShape, ResumeShape
from sendarix.accounts.calls import Call

QUEUES = Call(
    name="getQueues",
    summary="Look at the queue",
    about="How much waits, since when, for what, and how fast it leaves: in all, by tier, by destination and by route.",
    answer=answers.Queues,
)
LIST_PAUSES = Call(
    name="listQueuePauses",
    summary="List pauses in force",
    about="The account's own and the platform's, newest first. Live and test keys see the same ones.",
    answer=answers.PausePage,
)
PAUSE = Call(
    name="pauseQueue",
    summary="Hold mail back",
    about="By tier, destination, route or API key, or all of it. Takes effect within a second; mail accepted meanwhile waits"
    " too, and each message says why. What is being sent goes out. Mail of test keys is never held back.",
    body=PauseShape,
    answer=answers.Pause,
    status=201,
    refusals=(409,),
    body_example={"destination": "gmail", "tier": "low", "reason": "Gmail defers us", "seconds": 1800},
)
RESUME = Call(
    name="resumeQueue",
    summary="Let held mail go",
    about="Ends the pause of this id, or every pause of yours that was made with exactly these conditions. What waited goes in"
    " the order in which it was accepted.",
    body=ResumeShape,
    answer=answers.Resumed,
    refusals=(404,),
    body_example={"id": "pse_01kpk3p5gz8v6c2m9x4t7q0rde"},
)
PURGE = Call(
    name="purgeQueue",
    summary="Cancel waiting messages",
    about="First ask with `dry_run` (the default) how many match; then send the same filter with `dry_run: false` and that"
    " count as `expected`. If the count has changed by then, the answer is 409 and nothing is canceled: pause the queue first."
    " Messages that are being sent are left alone.",
    body=PurgeShape,
    answer=answers.Purged,
    refusals=(409,),
    body_example={"filter": {"template": "spring-sale", "tier": "low"}, "dry_run": True},
)
