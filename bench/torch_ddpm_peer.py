#!/usr/bin/env python3
"""A peer to compare mdlm with: the same network for images and the same step, in PyTorch.

A U-Net after DDPM (Ho et al. 2020): residual blocks of GroupNorm, SiLU and 3x3 convolutions that
are told the time, attention at some sizes and in the middle, skips from the way down to the way up.
A step noises random images, predicts the noise, and takes one Adam step on the squared error; mdlm's
step clips gradients and averages weights as well.

    torch_ddpm_peer.py --base-channels 32 --channels 1 --batch-size 64
    torch_ddpm_peer.py --base-channels 64 --channels 3 --batch-size 32 --dtype bf16

Prints one JSON object. Runs with Debian 12's python3-torch (1.13) and newer ones.
"""
import argparse
import json
import math
import resource
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

LEVELS = 1000
AT_ONCE = 16  # images of the timed forward pass


def numbers(text):
    return [int(word) for word in text.split(",") if word]


def parse():
    p = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--image-size", type=int, default=32)
    p.add_argument("--channels", type=int, default=3)
    p.add_argument("--base-channels", type=int, default=32)
    p.add_argument("--channel-mults", type=numbers, default=[1, 2, 2])
    p.add_argument("--res-blocks", type=int, default=2, help="of a level; one more on the way up")
    p.add_argument("--attn-res", type=numbers, default=[8])
    p.add_argument("--batch-size", type=int, default=32)
    p.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    p.add_argument("--layout", choices=["nchw", "nhwc"], default="nchw",
                   help="order of an image's numbers in memory")
    p.add_argument("--lr", type=float, default=2e-4)
    p.add_argument("--repeat", type=int, default=10, help="timed steps, after two to warm up")
    p.add_argument("--threads", type=int, default=0, help="0: PyTorch's own choice")
    p.add_argument("--seed", type=int, default=1)
    return p.parse_args()


# --- network --------------------------------------------------------------------------------------


class Norm(nn.GroupNorm):
    """Eight groups, always in f32."""

    def __init__(self, channels):
        super().__init__(8, channels)

    def forward(self, x):
        return super().forward(x.float())


def conv(inputs, outputs, size=3, stride=1):
    return nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2)


class ResBlock(nn.Module):
    def __init__(self, inputs, outputs, time_size):
        super().__init__()
        self.norm1, self.conv1 = Norm(inputs), conv(inputs, outputs)
        self.time = nn.Linear(time_size, outputs)
        self.norm2, self.conv2 = Norm(outputs), conv(outputs, outputs)
        self.shortcut = conv(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x, time):
        h = self.conv1(F.silu(self.norm1(x)))
        h = h + self.time(time)[:, :, None, None]
        return self.conv2(F.silu(self.norm2(h))) + self.shortcut(x)


class Attention(nn.Module):
    """One head; every pixel sees every other."""

    def __init__(self, channels):
        super().__init__()
        self.norm = Norm(channels)
        self.qkv, self.out = conv(channels, 3 * channels, 1), conv(channels, channels, 1)

    def forward(self, x):
        B, C, Y, X = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(B, 3 * C, Y * X).chunk(3, 1)
        weights = (q.transpose(1, 2) @ k * C ** -0.5).softmax(-1)
        return x + self.out((v @ weights.transpose(1, 2)).reshape(B, C, Y, X))


class Stage(nn.Module):
    """A residual block, with attention where its size asks for it."""

    def __init__(self, inputs, outputs, time_size, attends):
        super().__init__()
        self.block = ResBlock(inputs, outputs, time_size)
        self.attention = Attention(outputs) if attends else None

    def forward(self, x, time):
        x = self.block(x, time)
        return self.attention(x) if self.attention else x


class UNet(nn.Module):
    def __init__(self, a):
        super().__init__()
        base, time_size = a.base_channels, 4 * a.base_channels
        widths = [base * mult for mult in a.channel_mults]
        sizes = [math.ceil(a.image_size / 2 ** level) for level in range(len(widths))]
        self.base = base
        self.time1, self.time2 = nn.Linear(base, time_size), nn.Linear(time_size, time_size)
        self.first = conv(a.channels, base)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        skips, width = [base], base
        for level, wide in enumerate(widths):
            stages = nn.ModuleList()
            for _ in range(a.res_blocks):
                stages.append(Stage(width, wide, time_size, sizes[level] in a.attn_res))
                width = wide
                skips.append(width)
            last = level == len(widths) - 1
            shrink = None if last else conv(width, width, stride=2)
            if not last:
                skips.append(width)
            self.down.append(nn.ModuleDict({"stages": stages, "shrink": shrink or nn.Identity()}))
        self.middle = nn.ModuleList([Stage(width, width, time_size, True),
                                     Stage(width, width, time_size, False)])
        for level, wide in reversed(list(enumerate(widths))):
            stages = nn.ModuleList()
            for _ in range(a.res_blocks + 1):
                inputs = width + skips.pop()
                stages.append(Stage(inputs, wide, time_size, sizes[level] in a.attn_res))
                width = wide
            grow = conv(width, width) if level else nn.Identity()
            self.up.append(nn.ModuleDict({"stages": stages, "grow": grow}))
        self.norm, self.last = Norm(width), conv(width, a.channels)

    def tell_time(self, t):
        half = self.base // 2
        rates = torch.exp(torch.arange(half) * (-math.log(1e4) / half))
        angles = t[:, None] * rates
        h = self.time1(torch.cat((angles.cos(), angles.sin()), 1))
        return F.silu(self.time2(F.silu(h)))

    def forward(self, x, t):
        time = self.tell_time(t)
        x = self.first(x)
        skips = [x]
        for level, part in enumerate(self.down):
            for stage in part["stages"]:
                x = stage(x, time)
                skips.append(x)
            if level < len(self.down) - 1:
                x = part["shrink"](x)
                skips.append(x)
        for stage in self.middle:
            x = stage(x, time)
        for level, part in enumerate(self.up):
            for stage in part["stages"]:
                x = stage(torch.cat((x, skips.pop()), 1), time)
            if level < len(self.up) - 1:
                x = part["grow"](F.interpolate(x, size=skips[-1].shape[2:], mode="nearest"))
        return self.last(F.silu(self.norm(x)))


# --- runs -----------------------------------------------------------------------------------------


class Trainer:
    def __init__(self, a):
        self.a = a
        nhwc = a.layout == "nhwc"
        self.format = torch.channels_last if nhwc else torch.contiguous_format
        self.model = UNet(a).to(memory_format=self.format)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=a.lr)
        self.kept = (1 - torch.linspace(1e-4, 0.02, LEVELS)).cumprod(0)

    def autocast(self):
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.a.dtype == "bf16")

    def images(self, count):
        side = self.a.image_size
        x = torch.rand(count, self.a.channels, side, side) * 2 - 1
        return x.contiguous(memory_format=self.format)

    def step(self, images):
        noise = torch.randn_like(images)
        t = torch.randint(LEVELS, (len(images),))
        kept = self.kept[t].view(-1, 1, 1, 1)
        noisy = kept.sqrt() * images + (1 - kept).sqrt() * noise
        with self.autocast():
            guess = self.model(noisy, t)
        loss = F.mse_loss(guess.float(), noise)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def forward(self, images):
        with torch.no_grad(), self.autocast():
            self.model(images, torch.full((len(images),), 10))


def timed(fn, argument, repeat):
    times = []
    for i in range(repeat + 2):
        start = time.perf_counter()
        fn(argument)
        if i >= 2:
            times.append(time.perf_counter() - start)
    return statistics.median(times)


def main():
    a = parse()
    if a.threads > 0:
        torch.set_num_threads(a.threads)
    torch.manual_seed(a.seed)
    trainer = Trainer(a)
    step = timed(trainer.step, trainer.images(a.batch_size), a.repeat)
    forward = timed(trainer.forward, trainer.images(AT_ONCE), a.repeat)
    print(json.dumps({
        "parameters": sum(p.numel() for p in trainer.model.parameters()),
        "images_per_second": a.batch_size / step, "ms_per_step": 1e3 * step,
        "ms_per_forward": 1e3 * forward, "layout": a.layout, "dtype": a.dtype,
        "peak_rss_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "threads": torch.get_num_threads(), "torch": torch.__version__}))


if __name__ == "__main__":
    main()
