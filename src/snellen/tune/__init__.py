"""A search for better values of a recipe's fields, judged on val, its best compared anew over fresh seeds."""
