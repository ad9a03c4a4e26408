"""Compares the search for GD's rate and passes with trying every one of a grid."""
