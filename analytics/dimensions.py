"""What counts are kept by. Pure names: the statement that sorts an event under its values is rollup's."""

from enum import IntEnum


class Dimension(IntEnum):
    """One column of every count: each message stands once under each dimension, under every one of its tags, and under a route or
    a cause only where its event names one. The sum over TIER is everything."""

    TIER = 1
    TEMPLATE = 2
    TAG = 3
    RECIPIENT_PROVIDER = 4
    SENDER_DOMAIN = 5
    RECIPIENT_DOMAIN = 6
    ROUTE = 7
    KEY = 8
    BOUNCE_CLASS = 9


NONE = ""
"""The value of what has none: a message without a template, a recipient at no known provider."""

OTHER = "\x01"
"""The value under which everything beyond MOST_VALUES is counted. No name of a customer's holds a control character."""

MOST_VALUES = 200
"""Values of one dimension, account and hour that are counted by name: the first of the hour, in the order of the event feed, so
that a rebuild names the same ones."""

TIMED = (
    Dimension.TIER,
    Dimension.TEMPLATE,
    Dimension.TAG,
    Dimension.RECIPIENT_PROVIDER,
    Dimension.ROUTE,
    Dimension.KEY,
)
"""Those by which latency is kept too."""
