"""Random valid calls of every public function, and what must hold for each of them: `python -m tests.fuzz`."""
