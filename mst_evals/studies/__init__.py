"""Studies: what is trained and asked, what each result depends on, and how it is run and kept."""
