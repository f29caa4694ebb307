"""The least that Django can do for an accepted request: one view, one INSERT, one commit. What accept is measured against."""
