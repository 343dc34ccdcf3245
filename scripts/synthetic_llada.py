#!/usr/bin/env python3
"""Write a LLaDA of random weights: to see what a size of model takes, not what it says.

usage: synthetic_llada.py OUT [--layers 32 --dim 4096 --heads 32 --kv-heads 32 --ff 12288
                               --vocab 126464 --seq-len 4096 --shard-bytes 4000000000 --seed 0]

The defaults are LLaDA-8B's: 8,015,581,184 parameters, 16 GB. OUT, which must not be there yet, is a
Hugging Face folder: bf16 in shards with an index, config.json, and a tokenizer of bytes with
LLaDA's special ids at the end of the vocabulary. Weights are normal, with the deviation that keeps
activations at the size of one; they come from a pool of a million and three numbers over and over,
so that the disk is what takes the time. Standard library only.
"""
import argparse, json, os, random, shutil, struct, sys

POOL = 1000003  # a prime: rows of any width begin at other places of it


def arguments():
    p = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].removeprefix("usage: "))
    p.add_argument("out")
    sizes = dict(layers=32, dim=4096, heads=32, kv_heads=32, ff=12288, vocab=126464, seq_len=4096,
                 shard_bytes=4_000_000_000, seed=0)
    for name, default in sizes.items():
        p.add_argument("--" + name.replace("_", "-"), type=int, default=default)
    return p.parse_args()


def tensors(a):
    """(name, shape, deviation; 0: all ones)"""
    d, kv, into = a.dim, a.dim // a.heads * a.kv_heads, a.dim ** -0.5
    yield "wte.weight", [a.vocab, d], 1.0
    for n in range(a.layers):
        b = f"blocks.{n}."
        yield b + "attn_norm.weight", [d], 0
        yield b + "q_proj.weight", [d, d], into
        yield b + "k_proj.weight", [kv, d], into
        yield b + "v_proj.weight", [kv, d], into
        yield b + "attn_out.weight", [d, d], into / 2
        yield b + "ff_norm.weight", [d], 0
        yield b + "ff_proj.weight", [a.ff, d], into
        yield b + "up_proj.weight", [a.ff, d], into
        yield b + "ff_out.weight", [d, a.ff], a.ff ** -0.5 / 2
    yield "ln_f.weight", [d], 0
    yield "ff_out.weight", [a.vocab, d], 4 * into


def count(shape):
    n = 1
    for size in shape:
        n *= size
    return n


def bf16(x):
    """The nearest one, ties to even."""
    u = struct.unpack("<I", struct.pack("<f", x))[0]
    return struct.pack("<H", u + 0x7fff + (u >> 16 & 1) >> 16)


class Pool:
    """Random numbers of each deviation, as bytes."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.normal = [self.rng.gauss(0, 1) for _ in range(POOL)]
        self.made = {}

    def write(self, file, n, deviation):
        if deviation == 0:
            file.write(bf16(1) * n)
            return
        if deviation not in self.made:
            self.made[deviation] = b"".join(bf16(x * deviation) for x in self.normal)
        numbers, left = self.made[deviation], 2 * n
        at = 2 * self.rng.randrange(POOL)
        while left > 0:
            part = memoryview(numbers)[at:at + left]
            file.write(part)
            left -= len(part)
            at = 0


def shards(a):
    """Lists of tensors, each of at most a.shard_bytes (unless one tensor has more)."""
    parts, size = [[]], 0
    for name, shape, deviation in tensors(a):
        bytes_of = 2 * count(shape)
        if parts[-1] and size + bytes_of > a.shard_bytes:
            parts.append([])
            size = 0
        parts[-1].append(("model.transformer." + name, shape, deviation))
        size += bytes_of
    return parts


def write_shard(path, part, pool):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape, _ in part:
        end = at + 2 * count(shape)
        header[name] = dict(dtype="BF16", shape=shape, data_offsets=[at, end])
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, shape, deviation in part:
            pool.write(file, count(shape), deviation)
    return at


def save(folder, name, value):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, indent=2)


def write_weights(a, folder):
    parts, pool, names, total = shards(a), Pool(a.seed), {}, 0
    for i, part in enumerate(parts):
        file = f"model-{i + 1:05d}-of-{len(parts):05d}.safetensors"
        total += write_shard(os.path.join(folder, file), part, pool)
        names.update((name, file) for name, _, _ in part)
        print(f"{file}  {total / 1e9:.1f} GB so far", file=sys.stderr)
    save(folder, "model.safetensors.index.json",
         dict(metadata=dict(total_size=total), weight_map=names))
    return total // 2


def special_ids(a):
    return {"<|startoftext|>": a.vocab - 384, "<|endoftext|>": a.vocab - 383,
            "<|mdm_mask|>": a.vocab - 128}


def write_config(a, folder):
    bos, eos, mask = special_ids(a).values()
    save(folder, "config.json", dict(
        architectures=["LLaDAModelLM"], model_type="llada", d_model=a.dim, n_layers=a.layers,
        n_heads=a.heads, n_kv_heads=a.kv_heads, mlp_hidden_size=a.ff, vocab_size=a.vocab,
        embedding_size=a.vocab, max_sequence_length=a.seq_len, rope=True, rope_theta=500000.0,
        rms_norm_eps=1e-5, layer_norm_type="rms", activation_type="silu", block_type="llama",
        weight_tying=False, include_bias=False, include_qkv_bias=False, mask_token_id=mask,
        eos_token_id=eos, pad_token_id=eos, torch_dtype="bfloat16"))


def byte_alphabet():
    """GPT-2's characters for the bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def write_tokenizer(a, folder):
    special = special_ids(a)
    vocabulary = {text: byte for byte, text in byte_alphabet().items()}
    for i in range(256, a.vocab):  # every id has a token; without merges, no text has these
        if i not in special.values():
            vocabulary[f"[{i}]"] = i
    byte_level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True)
    added = [dict(id=i, content=text, single_word=False, lstrip=False, rstrip=False,
                  normalized=False, special=True) for text, i in special.items()]
    save(folder, "tokenizer.json", dict(
        version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=None,
        pre_tokenizer=byte_level, post_processor=None, decoder=byte_level,
        model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix="",
                   end_of_word_suffix="", fuse_unk=False, byte_fallback=False, ignore_merges=False,
                   vocab=vocabulary, merges=[])))
    save(folder, "tokenizer_config.json", dict(
        tokenizer_class="PreTrainedTokenizerFast", eos_token="<|endoftext|>",
        pad_token="<|endoftext|>", mask_token="<|mdm_mask|>", model_max_length=a.seq_len))


def main():
    a = arguments()
    if a.vocab < 256 + 384:
        sys.exit("synthetic_llada.py: --vocab must be at least 640: bytes and special ids")
    if os.path.lexists(a.out):
        sys.exit(f"synthetic_llada.py: '{a.out}' is there already")
    aside = a.out.rstrip("/") + ".part"
    os.makedirs(aside)
    try:
        parameters = write_weights(a, aside)
        write_config(a, aside)
        write_tokenizer(a, aside)
        os.rename(aside, a.out)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    print(f"{a.out}: {parameters:,} parameters")


if __name__ == "__main__":
    main()
