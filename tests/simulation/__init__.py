"""Whole clusters in one process, on one clock, through seeded schedules of trouble."""
