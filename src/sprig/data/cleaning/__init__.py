"""What stands between a source's files and the documents that are trained on: one file for each question asked."""
