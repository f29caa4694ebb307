"""Analytics in the API's document."""

from analytics import answers
from sendarix.accounts.calls import Call

CSV = "text/csv"

ANALYTICS = Call(
    name="getAnalytics",
    summary="Count what happened",
    about="By hour or day, in all or by one dimension. Each event counts in the hour in which it happened; the last bucket is"
    " usually `partial`. With `format=csv` a table of the same, one row per bucket and group, in which cells that a spreadsheet"
    " would take for a formula stand behind an apostrophe.",
    answer=answers.Analytics,
    answer_types=(CSV,),
)
