"""Paths of the webhooks API, below /v1/."""

from django.urls import path

from webhooks import views

urlpatterns = [
    path("webhooks", views.Webhooks.as_view()),
    path("webhooks/<str:webhook_id>", views.WebhookById.as_view()),
    path("webhooks/<str:webhook_id>/rotate-secret", views.RotateSecret.as_view()),
    path("webhooks/<str:webhook_id>/test", views.TestEvent.as_view()),
    path("webhooks/<str:webhook_id>/recover", views.Recover.as_view()),
    path("webhooks/<str:webhook_id>/deliveries", views.Deliveries.as_view()),
    path("webhooks/<str:webhook_id>/deliveries/<str:delivery_id>", views.DeliveryById.as_view()),
    path("webhooks/<str:webhook_id>/deliveries/<str:delivery_id>/replay", views.Replay.as_view()),
]
