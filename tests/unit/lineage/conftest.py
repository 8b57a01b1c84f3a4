from tests.unit.registry_at_hand import checkout, database, name

__all__ = ["checkout", "database", "name"]
