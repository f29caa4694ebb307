"""The pages: getting in, an account's sections under /app/ACCOUNT/live|test/, and the platform's under /operator/."""

from django.contrib.auth.views import LogoutView
from django.urls import include, path

from sendarix.dashboard import access
from sendarix.dashboard.views import (
    alerts,
    analytics,
    audit,
    captured,
    dead_letters,
    domains,
    keys,
    members,
    message,
    message_actions,
    messages,
    operator,
    overview,
    policies,
    queues,
    recipients,
    routes,
    rules,
    settings,
    simulator,
    suppression_imports,
    suppressions,
    template_versions,
    templates,
    webhook_deliveries,
    webhooks,
)

account = [
    *overview.urlpatterns,
    *messages.urlpatterns,
    *message.urlpatterns,
    *message_actions.urlpatterns,
    *recipients.urlpatterns,
    *dead_letters.urlpatterns,
    *captured.urlpatterns,
    *analytics.urlpatterns,
    *alerts.urlpatterns,
    *templates.urlpatterns,
    *template_versions.urlpatterns,
    *domains.urlpatterns,
    *suppression_imports.urlpatterns,  # before the suppressions, whose ids stand where its names do
    *suppressions.urlpatterns,
    *queues.urlpatterns,
    *routes.urlpatterns,
    *rules.urlpatterns,
    *policies.urlpatterns,
    *simulator.urlpatterns,
    *keys.urlpatterns,
    *webhooks.urlpatterns,
    *webhook_deliveries.urlpatterns,  # after the webhooks, one of whose names is "new"
    *members.urlpatterns,
    *audit.urlpatterns,
    *settings.urlpatterns,
]

urlpatterns = [
    path("", access.home, name="home"),
    path("login", access.Login.as_view(), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("second-factor", access.SecondFactor.as_view(), name="second-factor"),
    path("second-factor/setup", access.SecondFactorSetup.as_view(), name="second-factor-setup"),
    path("second-factor/off", access.second_factor_off, name="second-factor-off"),
    path("password", access.PasswordChange.as_view(), name="password-change"),
    path("password/reset", access.Reset.as_view(), name="password-reset"),
    path("password/reset/sent", access.ResetSent.as_view(), name="password-reset-sent"),
    path("password/reset/<str:uidb64>/<str:token>", access.ResetConfirm.as_view(), name="password-reset-confirm"),
    path("invitations/<str:token>", access.Join.as_view(), name="invitation"),
    path("profile", access.Profile.as_view(), name="profile"),
    path("language", access.language, name="language"),
    path("theme", access.theme, name="theme"),
    path("operator/", include(operator.urlpatterns)),
    path("app/<str:slug>/<str:environment>/", include(account)),
]
