/* tokenizer/split.h: where one word ends and the next begins, by hand for the usual expressions.
 *
 *     for (size_t start = 0, end; start < size; start = end) {
 *         end = split(text, size, start);
 *         word(text + start, end - start);
 *     }
 *
 * One function per expression (tokenizer/cuts.h knows which belongs to which, and has an engine
 * for the others). Each covers the text without gaps, and merges never cross words. Words depend on
 * the text from `start` on alone, as with a regular expression without look-behind. Bytes that are
 * not UTF-8 count as characters of class "other". A whole walk takes linear time for any text.
 */
#ifndef MD_TOKENIZER_SPLIT_H
#define MD_TOKENIZER_SPLIT_H

#include <stddef.h>

/* The end of the word at `start`: start < end <= size. `start` must be less than `size`. */
typedef size_t (*md_split_fn)(const char *text, size_t size, size_t start);

/* GPT-2: 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
size_t md_split_gpt2(const char *text, size_t size, size_t start);

/* Qwen2, Dream: (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|
 * ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 * LLaDA's expression is written otherwise and cuts the same words. */
size_t md_split_qwen2(const char *text, size_t size, size_t start);

/* Llama 3: the same with \p{N}{1,3} */
size_t md_split_llama3(const char *text, size_t size, size_t start);

/* \p{N}: every number is a word, and so is what lies between two. */
size_t md_split_numbers(const char *text, size_t size, size_t start);

#endif
