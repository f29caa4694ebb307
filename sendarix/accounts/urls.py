"""Paths of the calls about an account, below /v1/."""

from django.urls import path

from sendarix.accounts import views

urlpatterns = [path("audit-log", views.AuditLog.as_view())]
