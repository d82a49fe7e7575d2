import os

import hypothesis

# Tests run side by side: more threads than cores make each of them slower, many times over. Set before torch is
# imported; processes that tests start inherit it.
os.environ["OMP_NUM_THREADS"] = "1"

# An example takes long where the machine is busy, which says nothing about the code.
hypothesis.settings.register_profile("sprig", deadline=None)
hypothesis.settings.load_profile("sprig")
