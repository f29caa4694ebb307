"""Paths of analytics and alerts, below /v1/."""

from django.urls import path

from analytics import views

urlpatterns = [path("analytics", views.Analytics.as_view())]
