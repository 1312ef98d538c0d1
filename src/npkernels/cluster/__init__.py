"""k-means: its two steps as functions, and the estimators."""
