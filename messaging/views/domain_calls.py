"""The sender domains in the API's document: one Call per method."""

from messaging.views import domain_answers as answers
from messaging.views.domain_shapes import DomainShape
from sendarix.accounts.calls import Call

ADD = Call(
    name="addDomain",
    summary="Add a sender domain",
    about="Makes its DKIM keys (RSA-2048 and Ed25519) and answers with the records to publish. A domain that another account"
    " has comes with `owned: false`: it can be sent from once its ownership record is found and the other account's is not.",
    body=DomainShape,
    answer=answers.SenderDomainDetail,
    status=201,
    refusals=(409,),
    body_example={"domain": "example.com"},
)
LIST = Call(
    name="listDomains",
    summary="List sender domains",
    about="Newest first. Live and test keys see the same domains.",
    answer=answers.SenderDomainPage,
)
GET = Call(
    name="getDomain",
    summary="Read a sender domain",
    about="By its id or its name, with the records to publish and what the last look found.",
    answer=answers.SenderDomainDetail,
)
REMOVE = Call(
    name="removeDomain",
    summary="Remove a sender domain",
    about="With its keys. Sending from it stops within seconds.",
    answer=answers.SenderDomainRemoved,
)
VERIFY = Call(
    name="verifyDomain",
    summary="Look up a domain's records now",
    about="Takes up to ten seconds. They are also looked up by themselves: every few minutes at first, then daily. When the"
    " record of a verified domain goes missing the event `domain.broken` tells so, and `domain.verified` when it is back.",
    answer=answers.SenderDomainDetail,
)
ROTATE = Call(
    name="rotateDkim",
    summary="Replace the DKIM keys of a domain",
    about="Makes a new pair under new selectors. Mail is signed with the old keys until the new records are found; keep the old"
    " records for seven days after that. While a pair waits for its records, this answers with the same pair.",
    answer=answers.SenderDomainDetail,
)
