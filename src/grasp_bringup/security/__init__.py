"""SROS2: which credentials each process has, what it may say and hear, and that nothing starts without."""
