"""Customers' templates, from what their authors wrote to the parts of a message. What a message's acceptance needs of it is here:
`resolve` and `render`, and masking."""

from messaging.templating.masking import MASK, MOST_SECRET_CHARACTERS, MOST_SECRETS, exceeds, mask, scalars
from messaging.templating.rendering import Rendered, Source, TemplateFault
from messaging.templating.resolving import Resolved, render, resolve

__all__ = [
    "MASK",
    "MOST_SECRETS",
    "MOST_SECRET_CHARACTERS",
    "Rendered",
    "Resolved",
    "Source",
    "TemplateFault",
    "exceeds",
    "mask",
    "render",
    "resolve",
    "scalars",
]
