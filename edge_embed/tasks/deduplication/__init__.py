"""Which texts say the same: exact and near duplicates, and what is removed."""
