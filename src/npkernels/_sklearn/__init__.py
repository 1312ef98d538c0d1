"""scikit-learn's contract: what the estimators share."""
