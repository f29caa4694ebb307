"""Paths of the suppressions API, below /v1/. An address may hold a slash, hence `path`."""

from django.urls import path

from suppressions import views

urlpatterns = [
    path("suppressions", views.Suppressions.as_view()),
    path("suppressions/check", views.Check.as_view()),
    path("suppressions/import", views.Import.as_view()),
    path("suppressions/export", views.Export.as_view()),
    path("suppressions/<path:recipient>", views.SuppressionByRecipient.as_view()),
    path("unsubscribes", views.Unsubscribes.as_view()),
    path("unsubscribes/<path:recipient>", views.UnsubscribeByRecipient.as_view()),
]
