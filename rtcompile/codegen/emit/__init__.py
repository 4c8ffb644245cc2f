"""Small pieces that emitted code is made of."""
