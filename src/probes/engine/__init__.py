"""Where learners run and where what they answered is kept."""
