"""Learns: evaluation, statistics and the qtopt command line."""
