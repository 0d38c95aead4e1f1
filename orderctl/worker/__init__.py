"""The processes that carry tasks out: the supervisor, its workers, the keeper and the courier."""
