"""What a data set holds, and the input size that suits it."""
