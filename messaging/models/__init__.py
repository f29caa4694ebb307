"""The tables of messaging: messages and what happened to them, what came back, templates, sender domains."""

from messaging.models.domains import DkimKey, SenderDomain
from messaging.models.exports import Export, ExportStatus
from messaging.models.inbound import InboundMail
from messaging.models.keeping import DiscardedFile, RetentionRun
from messaging.models.messages import (
    Attachment,
    Attempt,
    CapturedMail,
    DeadLetter,
    DeliveryWorker,
    Event,
    IdempotencyKey,
    Message,
    MessageContent,
    Status,
    Tier,
)
from messaging.models.routing import (
    DeliveryPolicy,
    MailDomain,
    PaceWindow,
    PathChange,
    PathHealth,
    QueuePause,
    Route,
    RuleSet,
)
from messaging.models.templates import EmailTemplate, TemplateBuild, TemplateVersion

__all__ = [
    "Attachment",
    "Attempt",
    "CapturedMail",
    "DeadLetter",
    "DeliveryPolicy",
    "DeliveryWorker",
    "DiscardedFile",
    "DkimKey",
    "EmailTemplate",
    "Event",
    "Export",
    "ExportStatus",
    "IdempotencyKey",
    "InboundMail",
    "MailDomain",
    "Message",
    "MessageContent",
    "PaceWindow",
    "PathChange",
    "PathHealth",
    "QueuePause",
    "RetentionRun",
    "Route",
    "RuleSet",
    "SenderDomain",
    "Status",
    "TemplateBuild",
    "TemplateVersion",
    "Tier",
]
