from testing.taking import take

__all__ = ["take"]
