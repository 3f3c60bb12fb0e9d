"""The rendered cars that the demo and the tests train on."""
