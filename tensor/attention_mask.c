/* tensor/attention_mask.c: see attention_mask.h. */
#include "tensor/attention_mask.h"

static int min(int a, int b) {
    return a < b ? a : b;
}

/* A block of the T tokens that a position lies in, and the first position that it sees. */
typedef struct block_of {
    int first, end, window;
} block_of;

static block_of find_block(md_attention_mask mask, int T, int position) {
    block_of b = {.first = position / mask.block * mask.block};
    b.end = min(b.first + mask.block, T);
    if (mask.window > 0 && b.end > mask.window) b.window = b.end - mask.window;
    return b;
}

static md_keys one_range(int first, int end) {
    return (md_keys){{{first, end}}};
}

md_keys md_keys_of_row(md_attention_mask mask, int T, int row) {
    if (mask.kind == MD_MASK_NONE) return one_range(0, T);
    if (mask.kind == MD_MASK_BLOCKS) {
        block_of b = find_block(mask, T, row);
        return one_range(b.window, b.end);
    }
    int half = T / 2, clean = row >= half;
    block_of b = find_block(mask, half, row - clean * half);
    if (clean) return one_range(half + b.window, half + b.end);
    return (md_keys){{{half + b.window, half + b.first}, {b.first, b.end}}};
}

int md_keys_change(md_attention_mask mask, int T, int row) {
    if (mask.kind == MD_MASK_NONE) return T;
    int length = mask.kind == MD_MASK_PAIRED ? T / 2 : T, half = row / length * length;
    return half + find_block(mask, length, row - half).end;
}

int md_keys_tile_end(md_attention_mask mask, int T, int first, int end, int most) {
    if (mask.kind == MD_MASK_PAIRED && first < T / 2) end = min(end, T / 2);
    return min(first + most, end);
}

md_keys md_keys_of_tile(md_attention_mask mask, int T, int first, int end) {
    md_keys keys = md_keys_of_row(mask, T, first), last = md_keys_of_row(mask, T, end - 1);
    for (int i = 0; i < MD_KEY_RANGES; i++) keys.range[i].end = last.range[i].end;
    int half = mask.kind == MD_MASK_PAIRED ? T / 2 : 0; /* where keys with a window begin */
    if (mask.window > 0) keys.range[0].first -= (keys.range[0].first - half) % MD_SUM_BLOCK;
    return keys;
}
