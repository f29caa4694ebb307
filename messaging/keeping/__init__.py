"""How long things are kept, and forgetting them: by age (retention) and by address (erasure)."""
