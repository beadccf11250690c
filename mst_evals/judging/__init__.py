"""Can a judge be trusted? Its card, articles that attack it, and an audit of what it was given."""
