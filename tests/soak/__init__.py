"""Long runs under load; each is a command with a file of numbers at the end."""
