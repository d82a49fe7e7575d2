"""What a run did, with its real numbers: records.py holds it, terminal.py draws it."""
