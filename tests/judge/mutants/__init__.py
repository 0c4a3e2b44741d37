"""Faulty programs, each with right changes and with some that are slightly broken, in many styles of code."""
