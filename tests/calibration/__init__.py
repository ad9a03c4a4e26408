"""Tests of the calibration study."""
