from tests.world import _left_behind, acme, api, globex, sink, take_route, transactional_db

__all__ = ["_left_behind", "acme", "api", "globex", "sink", "take_route", "transactional_db"]
