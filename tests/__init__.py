"""Tests of torch-inplace."""
