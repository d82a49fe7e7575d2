"""What a trained model is asked, one file for each question."""
