"""From a trained model to code, token by token."""
