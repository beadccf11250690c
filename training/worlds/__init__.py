"""The micro worlds: synthetic text and probes for the small base models of the demo."""
