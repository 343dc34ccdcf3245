/* corpora/tales_words.h: the words and plots of the tales, as constant tables.
 *
 * A template is text with two kinds of brackets:
 *     {key}       the story's value of a key; {Key} capitalises it; {a key} puts "a" or "an" before
 *     [x|y|z]     one of the alternatives, drawn anew each time; they may nest and may be empty
 * A beat (one entry of a plot) is a template whose alternatives need no outer brackets. A beat that
 * begins with a line feed opens a paragraph.
 *
 * Keys of the characters: hero, kind, he, him, his; friend, fkind, fhe, fhim, fhis; parent, hands.
 * Hero and friend are never of one sex, so a pronoun always tells them apart; a parent or another
 * grown-up is never called by a pronoun for the same reason.
 */
#ifndef MD_CORPORA_TALES_WORDS_H
#define MD_CORPORA_TALES_WORDS_H

/* Rows of words; a story picks `picks` different rows and binds their fields to the keys. The
 * second pick's keys end in 2, the third's in 3. */
typedef struct md_tale_list {
    const char *keys;         /* names of the fields of a row, separated by single spaces */
    const char *const *words; /* [rows][fields] */
    int fields, rows, picks;
} md_tale_list;

extern const md_tale_list md_tale_lists[];
extern const int md_tale_list_count;

/* A plot: beats, ended by NULL. */
typedef const char *const *md_tale_plot;
extern const md_tale_plot md_tale_plots[];
extern const int md_tale_plot_count;

#endif
