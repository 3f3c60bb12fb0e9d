"""OKS sigmas from repeated annotation or from a model's residuals, and what an AP means with them."""
