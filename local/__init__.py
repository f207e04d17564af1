"""Skirmish on one machine: everything set up, started and kept running by one command."""


class FailedError(Exception):
    """What was asked for can't be done. The message says why, and what to do."""
