"""The job that does nothing, for a queue that names jobs by where they are."""


def empty() -> None:
    """Does nothing."""
