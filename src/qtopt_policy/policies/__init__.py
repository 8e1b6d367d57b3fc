"""Policies behind one protocol (base.py): cem, scripted, random and epsilon-greedy over any."""
