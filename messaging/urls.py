"""Paths of the messages API, below /v1/."""

from django.urls import path

from messaging.views import events, messages, policies, routing, rules

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
    path("routes", routing.Routes.as_view()),
    path("routes/<str:route_id>", routing.RouteById.as_view()),
    path("routes/<str:route_id>/check", routing.Check.as_view()),
    path("routes/<str:route_id>/history", routing.History.as_view()),
    path("routes/<str:route_id>/health", routing.Health.as_view()),
    path("routing/simulate", rules.Simulate.as_view()),
    path("routing-rules", rules.Rules.as_view()),
    path("routing-rules/versions", rules.Versions.as_view()),
    path("routing-rules/versions/<int:version>", rules.Version.as_view()),
    path("routing-rules/versions/<int:version>/publish", rules.Publish.as_view()),
    path("delivery-policies", policies.Policies.as_view()),
    path("delivery-policies/default", policies.DefaultPolicy.as_view()),
    path("delivery-policies/<str:policy_id>", policies.PolicyById.as_view()),
]
