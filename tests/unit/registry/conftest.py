from testing.registries import checkout, database, name, other_database

__all__ = ["checkout", "database", "name", "other_database"]
