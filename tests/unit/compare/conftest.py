from testing.registries import checkout, database, name

__all__ = ["checkout", "database", "name"]
