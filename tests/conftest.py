import os

# Tests run side by side: more threads than cores make each of them slower, many times over. Set before torch is
# imported; processes that tests start inherit it.
os.environ["OMP_NUM_THREADS"] = "1"
