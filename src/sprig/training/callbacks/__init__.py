"""What watches a run: each file one thing, none of which training needs in order to train."""
