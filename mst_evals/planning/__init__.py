"""What a study takes before it is run: memory, hours, tokens for a judge, disk. No torch, no network."""
