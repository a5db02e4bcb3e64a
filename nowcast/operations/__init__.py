"""The scheduled job: one forecast cycle under a lock and a deadline, published whole, told and cleaned up after.

What runs here before the worker process starts imports nothing heavy: a schedule starts it every few minutes.
"""
