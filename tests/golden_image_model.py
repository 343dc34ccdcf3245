#!/usr/bin/python3
"""Makes tests/data/golden-image-model/*.json, what tests/test_golden_image_model.c compares with.

An independent U-Net (DDPM's) and an independent DiT in PyTorch (float64): their forward pass, the
gradient of every parameter by PyTorch's autograd, and ten steps of torch.optim.AdamW with
clip_grad_norm_. Weights, images, times, labels and targets come from an integer hash that the C
test repeats, keyed by the parameter's name, so only results are stored: the output whole, of each
gradient its norm and its product with a hashed vector. Not run by the tests; needs PyTorch (Debian:
python3-torch). Usage:

    /usr/bin/python3 tests/golden_image_model.py tests/data/golden-image-model
"""
import math
import sys

import torch
import torch.nn.functional as F

from hashed import name_hash, unit

B, CLASSES, LR, STEPS = 2, 3, 0.01, 10
IMAGES, TARGETS, PROBE = 1000, 2000, 0x5EED  # streams of the hash
UNET = dict(Y=7, X=6, C=2, outputs=4, base=16, mults=[1, 2], res_blocks=1, attn=[4])
DIT = dict(Y=4, X=6, C=1, outputs=1, patch=2, layers=2, dim=16, heads=2, ff=12)
GROUPS, NORM_EPS, DIT_EPS, FREQUENCIES = 8, 1e-5, 1e-6, 256


def hashed(stream, shape):
    count = math.prod(shape)
    return torch.tensor([unit(stream, i) for i in range(count)], dtype=torch.float64).reshape(shape)


class Weights:
    """Parameters made when they are first asked for."""

    def __init__(self):
        self.all = {}

    def __call__(self, name, *shape):
        """In the C library's layout; a convolution's is [out, side, side, in]."""
        if name not in self.all:
            w = hashed(name_hash(name), shape)
            if len(shape) > 1:
                w = w * (2 / math.sqrt(math.prod(shape[1:])))
            else:
                w = w * 0.5 + (1 if "norm" in name and name.endswith("weight") else 0)
            w = w.to(torch.float32).to(torch.float64)  # rounded as in C, then computed with
            self.all[name] = w.requires_grad_()
        assert tuple(self.all[name].shape) == shape, name
        return self.all[name]


def linear(w, name, x, out, bias=True):
    b = w(name + ".bias", out) if bias else None
    return F.linear(x, w(name + ".weight", out, x.shape[-1]), b)


def conv(w, name, x, out, side=3, stride=1):
    """x [B, C, Y, X]."""
    weight = w(name + ".weight", out, side, side, x.shape[1]).permute(0, 3, 1, 2)
    return F.conv2d(x, weight, w(name + ".bias", out), stride=stride, padding=side // 2)


def norm(w, name, x):
    c = x.shape[1]
    return F.group_norm(x, GROUPS, w(name + ".weight", c), w(name + ".bias", c), NORM_EPS)


def sinusoids(t, dim):
    half = dim // 2
    f = torch.exp(-math.log(1e4) * torch.arange(half, dtype=torch.float64) / half)
    a = t[..., None] * f
    return torch.cat([a.cos(), a.sin()], -1)


def embed(w, t, labels, frequencies, out):
    e = linear(w, "time_embedding.linear_1", sinusoids(t, frequencies), out)
    e = linear(w, "time_embedding.linear_2", F.silu(e), out)
    table = w("class_embedding.weight", CLASSES + 1, out)
    rows = [CLASSES if k < 0 else k for k in labels]
    return F.silu(e + table[rows])


# --- the U-Net ------------------------------------------------------------------------------------


def res_block(w, name, x, t, out):
    h = conv(w, name + ".conv1", F.silu(norm(w, name + ".norm1", x)), out)
    h = h + linear(w, name + ".time_emb_proj", t, out)[:, :, None, None]
    h = conv(w, name + ".conv2", F.silu(norm(w, name + ".norm2", h)), out)
    return h + (x if x.shape[1] == out else conv(w, name + ".conv_shortcut", x, out, 1))


def attention(w, name, x):
    b, c, y, xx = x.shape
    q, k, v = conv(w, name + ".qkv", norm(w, name + ".group_norm", x), 3 * c, 1).reshape(
        b, 3, c, y * xx).unbind(1)
    p = torch.softmax(q.transpose(1, 2) @ k / math.sqrt(c), -1)
    return x + conv(w, name + ".to_out", (v @ p.transpose(1, 2)).reshape(x.shape), c, 1)


def unet(w, x, t, labels):
    """x [B, Y, X, C] to [B, Y, X, outputs]."""
    p, base = UNET, UNET["base"]
    t = embed(w, t, labels, base, 4 * base)
    x = conv(w, "conv_in", x.permute(0, 3, 1, 2), base)
    skips, levels = [x], len(p["mults"])
    for l, m in enumerate(p["mults"]):
        for j in range(p["res_blocks"]):
            x = res_block(w, f"down_blocks.{l}.resnets.{j}", x, t, base * m)
            if max(x.shape[2:]) in p["attn"]:
                x = attention(w, f"down_blocks.{l}.attentions.{j}", x)
            skips.append(x)
        if l + 1 < levels:
            x = conv(w, f"down_blocks.{l}.downsamplers.0.conv", x, base * m, stride=2)
            skips.append(x)
    c = x.shape[1]
    x = res_block(w, "mid_block.resnets.0", x, t, c)
    x = attention(w, "mid_block.attentions.0", x)
    x = res_block(w, "mid_block.resnets.1", x, t, c)
    for i, m in enumerate(reversed(p["mults"])):
        for j in range(p["res_blocks"] + 1):
            x = res_block(w, f"up_blocks.{i}.resnets.{j}", torch.cat([x, skips.pop()], 1), t,
                          base * m)
            if max(x.shape[2:]) in p["attn"]:
                x = attention(w, f"up_blocks.{i}.attentions.{j}", x)
        if i + 1 < levels:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = conv(w, f"up_blocks.{i}.upsamplers.0.conv", x, base * m)
            x = x[:, :, :skips[-1].shape[2], :skips[-1].shape[3]]
    x = conv(w, "conv_out", F.silu(norm(w, "conv_norm_out", x)), p["outputs"])
    return x.permute(0, 2, 3, 1)


# --- the transformer ------------------------------------------------------------------------------


def modulated(x, shift, scale):
    h = F.layer_norm(x, x.shape[-1:], eps=DIT_EPS)
    return h * (1 + scale[:, None]) + shift[:, None]


def dit(w, x, t, labels):
    p, dim, P = DIT, DIT["dim"], DIT["patch"]
    rows, cols, D = p["Y"] // P, p["X"] // P, DIT["dim"] // DIT["heads"]
    c = embed(w, t, labels, FREQUENCIES, dim)
    x = x.reshape(B, rows, P, cols, P, p["C"]).transpose(2, 3).reshape(B, rows * cols, -1)
    at = torch.arange(rows * cols)
    position = torch.cat([sinusoids((at // cols).double(), dim // 2),
                          sinusoids((at % cols).double(), dim // 2)], -1)
    x = linear(w, "x_embedder", x, dim) + position
    for n in range(p["layers"]):
        k = f"blocks.{n}."
        m = linear(w, k + "adaLN_modulation", c, 6 * dim).chunk(6, -1)
        h = modulated(x, m[0], m[1])
        qkv = linear(w, k + "attn.qkv", h, 3 * dim, bias=False)
        q, kk, v = (z.reshape(B, -1, p["heads"], D).transpose(1, 2) for z in qkv.chunk(3, -1))
        y = torch.softmax(q @ kk.transpose(-1, -2) / math.sqrt(D), -1) @ v
        y = linear(w, k + "attn.proj", y.transpose(1, 2).reshape(x.shape), dim, bias=False)
        x = x + m[2][:, None] * y
        g, u = linear(w, k + "mlp.gate_up", modulated(x, m[3], m[4]), 2 * p["ff"],
                      bias=False).chunk(2, -1)
        x = x + m[5][:, None] * linear(w, k + "mlp.out", F.silu(g) * u, dim, bias=False)
    shift, scale = linear(w, "final_layer.adaLN_modulation", c, 2 * dim).chunk(2, -1)
    x = linear(w, "final_layer.linear", modulated(x, shift, scale), P * P * p["outputs"])
    x = x.reshape(B, rows, cols, P, P, p["outputs"]).transpose(2, 3)
    return x.reshape(B, p["Y"], p["X"], p["outputs"])


# --- what is stored -------------------------------------------------------------------------------


def batch(p, step):
    """Images in [-1, 1), times, labels with one missing, targets."""
    x = 2 * hashed(IMAGES + step, (B, p["Y"], p["X"], p["C"]))
    target = 2 * hashed(TARGETS + step, (B, p["Y"], p["X"], p["outputs"]))
    times = torch.tensor([float(37 * step % 1000), float(811 * (step + 1) % 1000)]).double()
    return x, times, [-1, step % CLASSES], target


def loss_of(net, p, w, step):
    x, times, labels, target = batch(p, step)
    out = net(w, x, times, labels)
    return out, ((out - target)**2).mean()


def curve(net, p):
    w = Weights()
    loss_of(net, p, w, 0)
    groups = [{"params": [v for v in w.all.values() if v.dim() > 1], "weight_decay": 0.1},
              {"params": [v for v in w.all.values() if v.dim() == 1], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LR, betas=(0.9, 0.95), eps=1e-8)
    losses, norms = [], []
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(net, p, w, step)[1]
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(w.all.values(), 1.0).item())
        optimizer.step()
        losses.append(loss.item())
    return losses, norms


def lines(name, values):
    text = [f"{v:.8g}" for v in values]
    rows = [", ".join(text[i:i + 8]) for i in range(0, len(text), 8)]
    return f'"{name}": [\n' + ",\n".join(rows) + "]"


def main(folder):
    for name, net, p in (("unet", unet, UNET), ("dit", dit, DIT)):
        w = Weights()
        out, loss = loss_of(net, p, w, 0)
        loss.backward()
        losses, norms = curve(net, p)
        arrays = [lines("output", out.detach().flatten().tolist()),
                  lines("loss", [loss.item()]), lines("loss_curve", losses),
                  lines("norm_curve", norms)]
        for k, v in w.all.items():
            g = v.grad.flatten()
            probe = hashed(name_hash(k) ^ PROBE, g.shape)
            arrays.append(lines(k, [g.norm().item(), (g @ probe).item()]))
        with open(f"{folder}/{name}.json", "w") as f:
            f.write("{\n" + ",\n".join(arrays) + "\n}\n")
        print(name, sum(v.numel() for v in w.all.values()), loss.item(), losses, norms)


main(sys.argv[1])
