"""Files that builds and commands read and write."""
