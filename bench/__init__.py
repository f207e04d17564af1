"""The ruler: what Skirmish does in a second, beside other queues and bare databases. See docs/performance.md."""
