"""The transformer: Qwen3's decoder, with switches that also give Qwen2 and Llama. Read transformer.py first."""
