#!/usr/bin/env python3
"""A peer to compare mdlm with: the same model and the same training, in PyTorch on the processor.

A bidirectional transformer (RMSNorm, rotate-half RoPE, full attention, SwiGLU, no biases) over
bytes and a mask, trained on the masked-diffusion bound with the linear schedule. Written to be fast
where PyTorch lets it be: q, k, v and gate, up are one product each, the head sees masked rows only.

    torch_mdm_peer.py --layers 4 --dim 128 --repeat 10          times steps on random bytes
    torch_mdm_peer.py --text corpus.txt --seconds 240           trains, then validates

Prints one JSON object. Runs with Debian 12's python3-torch (1.13) and newer ones.
"""
import argparse
import json
import math
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

MASK = 256


def parse():
    p = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--text", help="corpus; random bytes if not given")
    p.add_argument("--layers", type=int, default=4)
    p.add_argument("--dim", type=int, default=128)
    p.add_argument("--heads", type=int, default=4)
    p.add_argument("--ff", type=int, default=352)
    p.add_argument("--seq-len", type=int, default=128)
    p.add_argument("--batch-size", type=int, default=32)
    p.add_argument("--vocab-size", type=int, default=257)
    p.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    p.add_argument("--optimizer", choices=["adamw", "muon"], default="adamw")
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--muon-lr", type=float, default=0.02)
    p.add_argument("--ema", type=float, default=0.999, help="0: no average is kept")
    p.add_argument("--repeat", type=int, default=10, help="timed steps, after two to warm up")
    p.add_argument("--seconds", type=float, default=0, help="train for this long instead")
    p.add_argument("--draws", type=int, default=4, help="noise levels per validation window")
    p.add_argument("--threads", type=int, default=0, help="0: PyTorch's own choice")
    p.add_argument("--seed", type=int, default=1)
    return p.parse_args()


# --- model ----------------------------------------------------------------------------------------


class RMSNorm(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        scale = torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5)
        return x * scale * self.gain


def rope_tables(length, size):
    rates = 10000.0 ** (-torch.arange(0, size, 2, dtype=torch.float32) / size)
    angles = torch.arange(length, dtype=torch.float32)[:, None] * rates
    return angles.cos(), angles.sin()


def rotate(x, cos, sin):
    """Pairs (i, i + size/2) of the last dimension, by the angle of their position."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def attention(q, k, v):
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(q, k, v)
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    return scores.softmax(-1) @ v


class Block(nn.Module):
    def __init__(self, dim, heads, ff):
        super().__init__()
        self.heads = heads
        self.attention_norm, self.ff_norm = RMSNorm(dim), RMSNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.attention_out = nn.Linear(dim, dim, bias=False)
        self.gate_up = nn.Linear(dim, 2 * ff, bias=False)
        self.down = nn.Linear(ff, dim, bias=False)

    def forward(self, x, cos, sin):
        B, T, C = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(B, T, 3, self.heads, C // self.heads)
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(2))
        cos, sin = cos[:T].to(q.dtype), sin[:T].to(q.dtype)
        y = attention(rotate(q, cos, sin), rotate(k, cos, sin), v)
        x = x + self.attention_out(y.transpose(1, 2).reshape(B, T, C))
        gate, up = self.gate_up(self.ff_norm(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Transformer(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.embedding = nn.Embedding(a.vocab_size, a.dim)
        self.blocks = nn.ModuleList(Block(a.dim, a.heads, a.ff) for _ in range(a.layers))
        self.norm = RMSNorm(a.dim)
        self.head = nn.Linear(a.dim, a.vocab_size, bias=False)
        cos, sin = rope_tables(a.seq_len, a.dim // a.heads)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        for name, p in self.named_parameters():
            if p.ndim == 2:
                residual = name.endswith(("attention_out.weight", "down.weight"))
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * a.layers) if residual else 0.02)

    def forward(self, ids, rows):
        """Logits of `rows`, indices into the flattened ids."""
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return self.head(self.norm(x.flatten(0, 1).index_select(0, rows)))


# --- diffusion ------------------------------------------------------------------------------------


def bound(model, ids, generator=None):
    """Estimates -log p of each token of ids [B, T], in nats: one stratified noise level each."""
    B, T = ids.shape
    u = (torch.rand(1, generator=generator) + torch.arange(B) / B) % 1
    t = 1e-3 + (1 - 1e-3) * u[:, None]
    hidden = torch.rand(B, T, generator=generator) < t
    rows = hidden.flatten().nonzero()[:, 0]
    logits = model(ids.masked_fill(hidden, MASK), rows).float()
    logits[:, MASK] = -math.inf
    losses = F.cross_entropy(logits, ids.flatten()[rows], reduction="none")
    return (losses / t.expand(B, T).flatten()[rows]).sum() / (B * T)


def validate(model, text, a, autocast):
    """The bound on all of `text`, in windows that do not overlap."""
    generator = torch.Generator().manual_seed(7)
    whole = len(text) // a.seq_len * a.seq_len
    batches = list(text[:whole].view(-1, a.seq_len).split(64))
    if whole < len(text):
        batches.append(text[None, whole:])
    total = 0.0
    model.eval()
    with torch.no_grad(), autocast():
        for batch in batches:
            copies = batch.repeat_interleave(a.draws, 0)
            total += bound(model, copies, generator).item() * batch.numel()
    return total / len(text)


# --- optimizers -----------------------------------------------------------------------------------


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum (Jordan et al. 2024); `parts` matrices may lie in one parameter."""

    def __init__(self, params, lr, parts, momentum=0.95, decay=0.01, dtype=torch.float32):
        super().__init__(params, {"lr": lr})
        self.parts, self.momentum, self.decay, self.dtype = parts, momentum, decay, dtype

    def orthogonal(self, m):
        """Five Newton-Schulz steps of a quintic that drives singular values to about one."""
        tall = m.shape[0] > m.shape[1]
        x = (m.T if tall else m).to(self.dtype)
        x = x / (x.norm() + 1e-7)
        for _ in range(5):
            square = x @ x.T
            x = torch.addmm(x, torch.addmm(square, square, square, beta=-4.7750, alpha=2.0315), x,
                            beta=3.4445)
        return (x.T if tall else x).float()

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p)
                state["momentum"].lerp_(p.grad, 1 - self.momentum)
                ahead = p.grad.lerp(state["momentum"], self.momentum)
                p.mul_(1 - group["lr"] * self.decay)
                count = self.parts.get(p, 1)
                for weight, update in zip(p.chunk(count), ahead.chunk(count)):
                    shape = max(1.0, weight.shape[0] / weight.shape[1]) ** 0.5
                    weight.add_(self.orthogonal(update), alpha=-group["lr"] * shape)


def make_optimizers(model, a):
    parts = {}
    for block in model.blocks:
        parts.update({block.qkv.weight: 3, block.gate_up.weight: 2,
                      block.attention_out.weight: 1, block.down.weight: 1})
    muon = list(parts) if a.optimizer == "muon" else []
    taken = {id(p) for p in muon}
    rest = [p for p in model.parameters() if id(p) not in taken]
    groups = [{"params": [p for p in rest if p.ndim == 2], "weight_decay": 0.1},
              {"params": [p for p in rest if p.ndim == 1], "weight_decay": 0.0}]
    optimizers = [torch.optim.AdamW(groups, lr=a.lr, betas=(0.9, 0.95))]
    if muon:
        dtype = torch.bfloat16 if a.dtype == "bf16" else torch.float32
        optimizers.append(Muon(muon, a.muon_lr, parts, dtype=dtype))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return optimizers


class Average:
    """Exponential average of the weights, warmed up so that it forgets the first ones."""

    def __init__(self, model, decay):
        self.params, self.decay, self.steps = list(model.parameters()), decay, 0
        self.values = [p.detach().clone() for p in self.params] if decay > 0 else []

    @torch.no_grad()
    def update(self):
        if not self.values:
            return
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_mul_(self.values, decay)
        torch._foreach_add_(self.values, [p.detach() for p in self.params], alpha=1 - decay)

    @torch.no_grad()
    def publish(self):
        for p, value in zip(self.params, self.values):
            p.copy_(value)


# --- runs -----------------------------------------------------------------------------------------


class Trainer:
    def __init__(self, a):
        self.a = a
        self.model = Transformer(a)
        self.optimizers = make_optimizers(self.model, a)
        self.average = Average(self.model, a.ema)
        text = self.read_text()
        cut = len(text) * 9 // 10
        self.train_text, self.val_text = text[:cut], text[cut:]
        if len(self.train_text) <= a.seq_len:
            raise SystemExit("the text is too short for --seq-len")
        self.steps = 0

    def read_text(self):
        if not self.a.text:
            return torch.randint(256, (1 << 20,))
        with open(self.a.text, "rb") as file:
            return torch.frombuffer(bytearray(file.read()), dtype=torch.uint8).long()

    def autocast(self):
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.a.dtype == "bf16")

    def loss(self):
        starts = torch.randint(len(self.train_text) - self.a.seq_len, (self.a.batch_size, 1))
        ids = self.train_text[starts + torch.arange(self.a.seq_len)]
        with self.autocast():
            return bound(self.model, ids)

    def step(self, progress):
        """One optimizer step at a place in [0, 1] of the cosine; returns the loss."""
        self.steps += 1
        rate = min(1.0, self.steps / 50) * (0.02 + 0.49 * (1 + math.cos(math.pi * progress)))
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate
        self.model.zero_grad(set_to_none=True)
        loss = self.loss()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.average.update()
        return loss.item()


def timed(fn, repeat):
    times = []
    for i in range(repeat + 2):
        start = time.perf_counter()
        fn()
        if i >= 2:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def time_steps(trainer, a):
    step = timed(lambda: trainer.step(0.0), a.repeat)
    with torch.no_grad():
        forward = timed(lambda: trainer.loss().item(), a.repeat)
    return {"tokens_per_second": a.batch_size * a.seq_len / step, "ms_per_step": 1e3 * step,
            "ms_per_forward": 1e3 * forward}


def train(trainer, a):
    begin, last = time.perf_counter(), []
    while (spent := time.perf_counter() - begin) < a.seconds:
        last = last[-49:] + [trainer.step(spent / a.seconds)]
    spent = time.perf_counter() - begin
    trainer.average.publish()
    val = validate(trainer.model, trainer.val_text, a, trainer.autocast)
    tokens = trainer.steps * a.batch_size * a.seq_len
    return {"steps": trainer.steps, "tokens_per_second": tokens / spent,
            "ms_per_step": 1e3 * spent / trainer.steps,
            "train_nelbo_nats_per_byte": statistics.fmean(last), "val_nelbo_nats_per_byte": val}


def main():
    a = parse()
    if a.threads > 0:
        torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    trainer = Trainer(a)
    result = {"params": sum(p.numel() for p in trainer.model.parameters())}
    result.update(train(trainer, a) if a.seconds > 0 else time_steps(trainer, a))
    result.update(dtype=a.dtype, threads=torch.get_num_threads(), torch=torch.__version__)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
