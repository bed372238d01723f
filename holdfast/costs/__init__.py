"""What a user costs in r2 mode and as an actor: prices, operation counts, comparison."""
