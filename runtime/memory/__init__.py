"""Memory that compiled code is handed."""
