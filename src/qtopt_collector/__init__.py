"""Remembers: episodes, the success detector, bags (write, read, import, repair), collector_node."""
