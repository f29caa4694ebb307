"""Every path of the service."""

from django.conf import settings
from django.templatetags.static import static
from django.urls import include, path, re_path
from django.utils.functional import lazy
from django.views.generic import RedirectView

from analytics import urls as analytics
from messaging import urls as messages
from messaging.inbound import provider_events, unsubscribes
from sendarix.accounts import urls as accounts
from sendarix.accounts.api import UnknownPath
from sendarix.dashboard import admin, docs, health, inbox, openapi
from sendarix.dashboard import urls as dashboard
from suppressions import urls as suppressions
from webhooks import urls as webhooks

urlpatterns = [
    path("v1/openapi.json", openapi.served),
    path("v1/", include(messages)),
    path("v1/", include(webhooks)),
    path("v1/", include(suppressions)),
    path("v1/", include(analytics)),
    path("v1/", include(accounts)),
    re_path(r"^v1(/.*)?$", UnknownPath.as_view()),
    path("u/<str:token>", unsubscribes.unsubscribe, name="unsubscribe"),
    path("hooks/<str:provider>/<str:token>", provider_events.receive, name="provider-events"),
    path("docs/api", openapi.page, name="api-docs"),
    path("docs/errors", docs.errors, name="error-docs"),
    path("inbox", inbox.listing, name="inbox"),
    path("inbox/<int:number>", inbox.mail, name="inbox-mail"),
    path("inbox/<int:number>/html", inbox.html, name="inbox-html"),
    path("inbox/<int:number>/source", inbox.source, name="inbox-source"),
    path("favicon.ico", RedirectView.as_view(url=lazy(static, str)("dashboard/favicon.svg"))),
    path("healthz", health.alive),
    path("readyz", health.ready),
    path("metrics", health.metrics),
    path(f"{settings.ADMIN_PATH}/", admin.site.urls),
    path("", include(dashboard)),
]
