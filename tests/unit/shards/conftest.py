from tests.unit.download.conftest import take

__all__ = ["take"]
