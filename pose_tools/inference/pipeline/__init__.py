"""Stages in threads of their own, joined by short queues: reading, finding, following, drawing, writing."""
