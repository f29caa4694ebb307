from tests.world import acme, api, committed, database, globex, sink, take_route

__all__ = ["acme", "api", "committed", "database", "globex", "sink", "take_route"]
