"""The suppressions API in its document: one Call per method, in the words a customer reads."""

from sendarix.accounts.calls import Call
from suppressions import answers
from suppressions.shapes import SuppressionImportShape, SuppressionShape, UnsubscribeShape

CSV = "text/csv"

_SHOWN = {
    "id": "sup_01kpk3p5gz8v6c2m9x4t7q0rde",
    "recipient": "user@example.com",
    "reason": "manual",
    "message_id": None,
    "actor": "key_01kpk3p5gz8v6c2m9x4t7q0rde",
    "note": "Asked by telephone",
    "expires_at": None,
    "created_at": "2026-04-19T14:30:00.000Z",
    "livemode": True,
}
_EXISTING = (
    " 201 when the recipient is new on the list, 200 with the record when it is there already: it keeps its first reason, and"
    " ends at the later of both ends."
)

LIST = Call(
    name="listSuppressions",
    summary="List suppressions",
    about="Newest first. Filters narrow together. Records whose end has passed are not shown.",
    answer=answers.SuppressionPage,
)
ADD = Call(
    name="addSuppression",
    summary="Suppress a recipient",
    about="From now on the recipient is not mailed: delivery looks at the list in the step that decides, so that messages"
    " accepted before are not sent either." + _EXISTING,
    body=SuppressionShape,
    answer=answers.Suppression,
    status=201,
    also=(200,),
    body_example={"recipient": "user@example.com", "reason": "manual", "note": "Asked by telephone"},
    answer_example=_SHOWN,
)
GET = Call(
    name="getSuppression",
    summary="Read a suppression",
    about="By address, percent-encoded; case and IDN spelling do not count.",
    answer=answers.Suppression,
)
REMOVE = Call(
    name="removeSuppression",
    summary="Take a recipient off the list",
    about="Answers with the record that was removed. It is mailed again from now on, whatever the reason was; 409 when the reason"
    " changes at this very moment.",
    answer=answers.Suppression,
    refusals=(409,),
)
CHECK = Call(
    name="checkSuppressions",
    summary="Ask whether recipients are suppressed",
    about="Up to 100 in one call: `?recipient=a@example.com&recipient=b@example.com`.",
    answer=answers.SuppressionChecks,
)
IMPORT = Call(
    name="importSuppressions",
    summary="Import suppressions",
    about="Up to 100,000 rows, as JSON or as a CSV table (in `csv`, or as the body itself with `Content-Type: text/csv`). Each"
    " row is taken or refused by itself; what is taken is committed together. Sending the same table again changes nothing. Cells"
    " that an export has put behind an apostrophe are read without it.",
    body=SuppressionImportShape,
    body_types=(CSV,),
    answer=answers.SuppressionImport,
    body_example={"rows": [{"recipient": "user@example.com", "reason": "hard_bounce"}, {"recipient": "b@example.com"}]},
    answer_example={
        "created": 1,
        "existing": 1,
        "failed": 0,
        "ignored_columns": [],
        "results": [
            {"line": 1, "recipient": "user@example.com", "result": "created"},
            {"line": 2, "recipient": "b@example.com", "result": "exists"},
        ],
    },
)
EXPORT = Call(
    name="exportSuppressions",
    summary="Export suppressions",
    about="All of them, or those a filter leaves, as CSV in UTF-8 with a header row, newest first. Cells that a spreadsheet would"
    " take for a formula stand behind an apostrophe; an import reads them back as they were.",
    answer=CSV,
)
LIST_UNSUBSCRIBES = Call(
    name="listUnsubscribes",
    summary="List unsubscribes",
    about="The suppressions with reason `user_unsubscribed`, newest first.",
    answer=answers.SuppressionPage,
)
UNSUBSCRIBE = Call(
    name="addUnsubscribe",
    summary="Unsubscribe a recipient",
    about="For a wish that reached you in another way than by the link in a mail. 201 when the recipient is new on the list of"
    " suppressions, 200 with the record when it is there already; a manual suppression, a hard bounce or a complaint stays what"
    " it is.",
    body=UnsubscribeShape,
    answer=answers.Suppression,
    status=201,
    also=(200,),
    body_example={"recipient": "user@example.com"},
    answer_example=_SHOWN | {"reason": "user_unsubscribed", "note": None},
)
GET_UNSUBSCRIBE = Call(
    name="getUnsubscribe",
    summary="Read an unsubscribe",
    about="404 for a recipient who is suppressed for another reason.",
    answer=answers.Suppression,
)
RESUBSCRIBE = Call(
    name="removeUnsubscribe",
    summary="Take an unsubscribe back",
    about="Answers with the record that was removed; 404 for a recipient who is suppressed for another reason.",
    answer=answers.Suppression,
    refusals=(409,),
)
