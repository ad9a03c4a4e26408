"""Tests of the grid, the plan and a run."""
