"""The Triton kernel of `triton_attention`; importing it needs the triton package, which comes with PyTorch for CUDA.

Online softmax over blocks of keys (https://arxiv.org/abs/2205.14135): sums and bias in float32, products in the inputs'
precision with float32 sums. Written for triton 3.2 and later.
"""

import triton
import triton.language as tl


@triton.jit  # type: ignore[untyped-decorator]
def attend(  # type: ignore[no-untyped-def]
    q,
    k,
    v,
    out,
    blocks,
    slopes,
    reach,
    scale,
    HEADS: tl.constexpr,  # noqa: N803
    WIDTH: tl.constexpr,  # noqa: N803
    ROWS: tl.constexpr,  # noqa: N803
    KEYS: tl.constexpr,  # noqa: N803
    PRECISION: tl.constexpr,  # noqa: N803
):
    """One block of query rows of one head.

    q, out (N, H, d); k, v (T, H, d), all contiguous. blocks int32 (programs, 5): first key of the pair, its length, row
    of `q` that the block starts with, that row's place in the pair, and how many rows are the block's. slopes float32
    (H,); reach int32 (H,): keys farther away than that are left out.
    """
    block = blocks + tl.program_id(0) * 5
    head = tl.program_id(1)
    start, length = tl.load(block), tl.load(block + 1)
    row, place, count = tl.load(block + 2), tl.load(block + 3), tl.load(block + 4)
    slope, far = tl.load(slopes + head), tl.load(reach + head)

    rows, width, columns = tl.arange(0, ROWS), tl.arange(0, WIDTH), tl.arange(0, KEYS)
    q_at = ((row + rows).to(tl.int64)[:, None] * HEADS + head) * WIDTH + width[None, :]
    asked = tl.load(q + q_at, mask=rows[:, None] < count, other=0.0)  # (ROWS, d)
    places = place + rows

    top = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    summed = tl.zeros([ROWS, WIDTH], tl.float32)
    low = tl.maximum(place - far, 0) // KEYS * KEYS
    high = tl.minimum(place + count + far, length)
    for first in range(low, high, KEYS):
        keys = first + columns
        real = keys < length
        at = ((start + keys).to(tl.int64)[:, None] * HEADS + head) * WIDTH + width[None, :]
        key = tl.load(k + at, mask=real[:, None], other=0.0)  # (KEYS, d)
        distance = tl.abs(places[:, None] - keys[None, :]).to(tl.float32)
        scores = tl.dot(asked, tl.trans(key), input_precision=PRECISION) * scale - slope * distance
        scores = tl.where(real[None, :], scores, float("-inf"))  # (ROWS, KEYS)
        peak = tl.maximum(top, tl.max(scores, 1))
        weights = tl.exp(scores - peak[:, None])
        kept = tl.exp(top - peak)
        value = tl.load(v + at, mask=real[:, None], other=0.0)  # (KEYS, d)
        product = tl.dot(weights.to(value.dtype), value, input_precision=PRECISION)
        summed = summed * kept[:, None] + product
        total = total * kept + tl.sum(weights, 1)
        top = peak
    result = summed / total[:, None]
    tl.store(out + q_at, result.to(out.dtype.element_ty), mask=rows[:, None] < count)
