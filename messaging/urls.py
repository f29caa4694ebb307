"""Paths of the messages API, below /v1/."""

from django.urls import path

from messaging.views import events, messages

urlpatterns = [
    path("messages", messages.Messages.as_view()),
    path("messages/batch", messages.Batch.as_view()),
    path("messages/validate", messages.Validate.as_view()),
    path("messages/<str:message_id>", messages.MessageById.as_view()),
    path("messages/<str:message_id>/cancel", messages.Cancel.as_view()),
    path("messages/<str:message_id>/retry", messages.Retry.as_view()),
    path("messages/<str:message_id>/attempts", messages.Attempts.as_view()),
    path("events", events.Events.as_view()),
    path("dead-letters", events.DeadLetters.as_view()),
    path("dead-letters/redrive", events.Redrive.as_view()),
]
