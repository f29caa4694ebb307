"""Paths of analytics and alerts, below /v1/."""

from django.urls import path

from analytics import views
from analytics.alerts import views as alerts

urlpatterns = [
    path("analytics", views.Analytics.as_view()),
    path("alert-rules", alerts.AlertRules.as_view()),
    path("alert-rules/<str:rule_id>", alerts.AlertRuleById.as_view()),
    path("alerts", alerts.Alerts.as_view()),
    path("alerts/<str:alert_id>", alerts.AlertById.as_view()),
    path("alerts/<str:alert_id>/release", alerts.Release.as_view()),
]
