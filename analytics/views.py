"""/v1/analytics: what happened, counted."""

from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from analytics import calls, queries, showing
from analytics.queries import Interval, Series
from analytics.shapes import STATUS, AnalyticsQuery
from sendarix.accounts.api import ApiView
from sendarix.core.answers import answer


class Analytics(ApiView):
    scopes = {"GET": "analytics:read"}
    queries = {"GET": AnalyticsQuery}
    calls = {"GET": calls.ANALYTICS}

    def get(self, request: HttpRequest) -> HttpResponseBase:
        asked = self.query(AnalyticsQuery)
        found = self._series(asked)
        if asked.format == "csv":
            return self._table(found, asked.group_by)
        return answer(showing.shown(found, asked.group_by, asked.timezone))

    def _series(self, asked: AnalyticsQuery) -> Series:
        since, until = asked.times
        found = queries.series(
            self.key.account_id, self.key.livemode, since, until, Interval(asked.interval), asked.dimension,
            asked.values, asked.limit, ZoneInfo(asked.timezone),
        )  # fmt: skip
        return showing.by_status(found) if asked.group_by == STATUS else found

    def _table(self, found: Series, group_by: str | None) -> HttpResponse | StreamingHttpResponse:
        name = f"analytics-{'live' if self.key.livemode else 'test'}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        table = showing.table(found, group_by)
        return StreamingHttpResponse(table, content_type="text/csv; charset=utf-8", headers=headers)
