"""Tests with two processes of one job."""
