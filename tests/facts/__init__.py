"""Tests of `inplace.facts`."""
