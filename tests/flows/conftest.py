from tests.messaging.domain_zone import zone
from tests.world import _left_behind, acme, globex, sink, take_route, transactional_db

__all__ = ["_left_behind", "acme", "globex", "sink", "take_route", "transactional_db", "zone"]
