"""The smallest Django sites in which the peers run, in a virtual environment of their own: nothing here imports Sendarix."""
