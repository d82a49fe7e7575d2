"""Which numbers to multiply in: asked of the processor or GPU, not of the user."""

import torch


def fast_bfloat16(device: str) -> bool:
    """Whether device ("cpu", "cuda", ...) multiplies bfloat16 matrices in hardware.

    On a CPU with avx512_bf16 it is 4 to 9 times faster than float32, on one without it 40 times slower.
    """
    if device == "cpu":
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    if device == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    return False


def resolve_precision(precision: str, device: str) -> str:
    """Lightning's full name for the precision: "auto" becomes bf16-mixed where that is fast, 32-true elsewhere.

    ValueError for float16 on a processor, of which Lightning makes bfloat16 without a word.
    """
    precision = {"16": "16-mixed", "bf16": "bf16-mixed", "32": "32-true", "64": "64-true"}.get(precision, precision)
    if device == "cpu" and precision == "16-mixed":
        raise ValueError("trainer.precision=16-mixed needs a GPU: on a processor, set bf16-mixed, or auto.")
    if precision != "auto":
        return precision
    return "bf16-mixed" if fast_bfloat16(device) else "32-true"
