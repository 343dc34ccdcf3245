/* tokenizer/split.h: pre-tokenizers: where one word ends and the next begins. Private.
 *
 *     for (size_t start = 0, end; start < size; start = end) {
 *         end = split(text, size, start);
 *         word(text + start, end - start);
 *     }
 *
 * One function per pattern. Every pattern covers the text without gaps, and merges never cross
 * words. Words depend on the text from `start` on alone, as with a regular expression without
 * look-behind. Bytes that are not UTF-8 count as characters of class "other". A whole walk takes
 * linear time for any text.
 */
#ifndef MD_TOKENIZER_SPLIT_H
#define MD_TOKENIZER_SPLIT_H

#include <stddef.h>

/* The end of the word at `start`: start < end <= size. `start` must be less than `size`. */
typedef size_t (*md_split_fn)(const char *text, size_t size, size_t start);

/* GPT-2: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
size_t md_split_gpt2(const char *text, size_t size, size_t start);

/* No pattern: all of the text is one word. */
size_t md_split_none(const char *text, size_t size, size_t start);

#endif
