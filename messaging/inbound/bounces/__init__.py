"""What comes back to the bounce domain, read: delivery reports, complaints and automatic replies."""
