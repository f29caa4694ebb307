"""Speed, measured beside what others do on the same machine in the same run. `python -m bench` lists the parts."""
