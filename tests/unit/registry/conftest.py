from tests.unit.registry_at_hand import checkout, database, name, other_database

__all__ = ["checkout", "database", "name", "other_database"]
