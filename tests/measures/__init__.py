"""Tests of measures against known answers."""
