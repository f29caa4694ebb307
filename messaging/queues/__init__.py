"""The queue as its owner sees and steers it: how deep it is, what is paused, what is thrown away. No HTTP."""
