"""Tests of `inplace.judge`."""
