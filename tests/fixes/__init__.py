"""Tests of `inplace.fixes`."""
