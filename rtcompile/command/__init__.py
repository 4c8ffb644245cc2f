"""What commands read and print, and how they end."""
