"""Paths of the messages API, below /v1/."""

from django.urls import path

from messaging.views import domains, events, messages, policies, routing, rules, templates

urlpatterns = [
    path("messages", messages.Messages.as_view()),
    path("messages/batch", messages.Batch.as_view()),
    path("messages/validate", messages.Validate.as_view()),
    path("messages/<str:message_id>", messages.MessageById.as_view()),
    path("messages/<str:message_id>/cancel", messages.Cancel.as_view()),
    path("messages/<str:message_id>/retry", messages.Retry.as_view()),
    path("messages/<str:message_id>/attempts", messages.Attempts.as_view()),
    path("templates", templates.Templates.as_view()),
    path("templates/import", templates.Import.as_view()),
    path("templates/<str:template_key>", templates.TemplateByKey.as_view()),
    path("templates/<str:template_key>/versions", templates.Versions.as_view()),
    path("templates/<str:template_key>/versions/<str:version>", templates.VersionByNumber.as_view()),
    path("templates/<str:template_key>/publish", templates.Publish.as_view()),
    path("templates/<str:template_key>/rollback", templates.Rollback.as_view()),
    path("templates/<str:template_key>/render", templates.Render.as_view()),
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
    path("domains", domains.Domains.as_view()),
    path("domains/<str:domain>", domains.Domain.as_view()),
    path("domains/<str:domain>/verify", domains.Verify.as_view()),
    path("domains/<str:domain>/rotate-dkim", domains.RotateDkim.as_view()),
]
