"""A made-up month of the demo account, so that every page has something to show: `manage.py demo`."""
