#!/usr/bin/python3
"""Makes tests/data/golden-model/*.json, what tests/test_golden_model.c compares with.

An independent LLaDA transformer in PyTorch (float64): its forward pass, its loss, the gradient of
every parameter by PyTorch's autograd, and ten steps of torch.optim.AdamW with clip_grad_norm_.
Weights, ids, masks and loss weights come from an integer hash that the C test repeats, so only the
results are stored. Not run by the tests; needs PyTorch (Debian: python3-torch). Usage:

    /usr/bin/python3 tests/golden_model.py tests/data/golden-model
"""
import sys

import torch
import torch.nn.functional as F

from hashed import hash32, unit

V, MASK, C, LAYERS, FF, T, B = 11, 10, 16, 2, 24, 9, 3
EPS, THETA, LR, STEPS = 1e-5, 10000.0, 0.01, 10
PREFIX = "model.transformer."
VARIANTS = [  # name, heads, key/value heads, tied
    ("grouped", 4, 2, False),
    ("tied", 2, 2, True),
]
WEIGHTS, IDS, MASKED, ROW_WEIGHTS = 0, 1000, 2000, 3000  # streams of the hash


def shapes(kv_heads, heads, tied):
    """Names and shapes in the order of the parameter slab."""
    kv = kv_heads * (C // heads)
    yield "wte", (V, C)
    for n in range(LAYERS):
        block = f"blocks.{n}."
        yield block + "attn_norm", (C,)
        yield block + "q_proj", (C, C)
        yield block + "k_proj", (kv, C)
        yield block + "v_proj", (kv, C)
        yield block + "attn_out", (C, C)
        yield block + "ff_norm", (C,)
        yield block + "ff_proj", (FF, C)
        yield block + "up_proj", (FF, C)
        yield block + "ff_out", (C, FF)
    yield "ln_f", (C,)
    if not tied:
        yield "ff_out", (V, C)


def make_weights(kv_heads, heads, tied):
    weights = {}
    for s, (name, shape) in enumerate(shapes(kv_heads, heads, tied)):
        count = shape[0] * (shape[1] if len(shape) == 2 else 1)
        values = [unit(WEIGHTS + s, i) for i in range(count)]
        if len(shape) == 1:
            values = [1 + 0.5 * v for v in values]
        # Rounded to float32 as in C, then computed with in float64.
        w = torch.tensor(values, dtype=torch.float64).to(torch.float32).to(torch.float64)
        weights[name] = w.reshape(shape).requires_grad_()
    return weights


def batch(step):
    """ids [B, T], flat indices of masked rows, their targets and weights."""
    clean = [hash32(IDS + step, i) % MASK for i in range(B * T)]
    rows = [i for i in range(B * T) if hash32(MASKED + step, i) % 5 < 3]
    ids = [MASK if i in rows else clean[i] for i in range(B * T)]
    weights = [(2 + hash32(ROW_WEIGHTS + step, i) % 8) / 128 for i in rows]
    return (torch.tensor(ids).reshape(B, T), torch.tensor(rows),
            torch.tensor([clean[i] for i in rows]), torch.tensor(weights, dtype=torch.float64))


def rms_norm(x, w):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS) * w


def rotate_half(x):
    x = x.view(*x.shape[:-1], 2, x.shape[-1] // 2)
    x1, x2 = x.unbind(dim=-2)
    return torch.cat((-x2, x1), dim=-1)


def rope(x):
    """x [B, heads, T, D], as in LLaDA's RotaryEmbedding."""
    D = x.shape[-1]
    inverse = 1.0 / THETA ** (torch.arange(0, D, 2, dtype=torch.float64) / D)
    angle = torch.einsum("i,j->ij", torch.arange(T, dtype=torch.float64), inverse)
    angle = torch.cat((angle, angle), dim=-1)
    return x * angle.cos() + rotate_half(x) * angle.sin()


def hidden_states(w, ids, heads, kv_heads):
    D = C // heads
    x = w["wte"][ids]
    for n in range(LAYERS):
        p = lambda name: w[f"blocks.{n}.{name}"]
        h = rms_norm(x, p("attn_norm"))
        q = rope((h @ p("q_proj").T).view(B, T, heads, D).transpose(1, 2))
        k = rope((h @ p("k_proj").T).view(B, T, kv_heads, D).transpose(1, 2))
        v = (h @ p("v_proj").T).view(B, T, kv_heads, D).transpose(1, 2)
        k = k.repeat_interleave(heads // kv_heads, dim=1)
        v = v.repeat_interleave(heads // kv_heads, dim=1)
        y = torch.softmax(q @ k.transpose(-1, -2) / D**0.5, dim=-1) @ v
        x = x + y.transpose(1, 2).reshape(B, T, C) @ p("attn_out").T
        h = rms_norm(x, p("ff_norm"))
        x = x + (F.silu(h @ p("ff_proj").T) * (h @ p("up_proj").T)) @ p("ff_out").T
    return rms_norm(x, w["ln_f"])


def losses(w, step, heads, kv_heads, tied):
    """Hidden states, logits, unweighted losses of the masked rows, and the loss."""
    ids, rows, target, weight = batch(step)
    hidden = hidden_states(w, ids, heads, kv_heads).reshape(B * T, C)
    logits = hidden @ w["wte" if tied else "ff_out"].T
    allowed = logits[rows].clone()
    allowed[:, MASK] = -torch.inf
    row_loss = F.cross_entropy(allowed, target, reduction="none")
    return hidden, logits, row_loss, (weight * row_loss).sum()


def curve(heads, kv_heads, tied):
    w = make_weights(kv_heads, heads, tied)
    groups = [{"params": [p for p in w.values() if p.dim() == 2], "weight_decay": 0.1},
              {"params": [p for p in w.values() if p.dim() == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LR, betas=(0.9, 0.95), eps=1e-8)
    loss_curve, norm_curve = [], []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = losses(w, step, heads, kv_heads, tied)[3]
        loss.backward()
        norm_curve.append(torch.nn.utils.clip_grad_norm_(w.values(), 1.0).item())
        optimizer.step()
        loss_curve.append(loss.item())
    return loss_curve, norm_curve


def lines(name, values):
    text = [f"{v:.7g}" for v in values]
    rows = [", ".join(text[i:i + 8]) for i in range(0, len(text), 8)]
    return f'"{name}": [\n' + ",\n".join(rows) + "]"


def main(folder):
    for name, heads, kv_heads, tied in VARIANTS:
        w = make_weights(kv_heads, heads, tied)
        hidden, logits, row_loss, loss = losses(w, 0, heads, kv_heads, tied)
        loss.backward()
        loss_curve, norm_curve = curve(heads, kv_heads, tied)
        arrays = [lines(k, v.detach().flatten().tolist()) for k, v in
                  (("hidden", hidden), ("logits", logits), ("row_loss", row_loss))]
        arrays += [lines("loss", [loss.item()]), lines("loss_curve", loss_curve),
                   lines("norm_curve", norm_curve)]
        arrays += [lines(f"{PREFIX}{k}.weight", p.grad.flatten().tolist()) for k, p in w.items()]
        with open(f"{folder}/{name}.json", "w") as f:
            f.write("{\n" + ",\n".join(arrays) + "\n}\n")
        print(name, loss.item(), loss_curve, norm_curve)


main(sys.argv[1])
