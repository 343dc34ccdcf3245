/* base/number.h: numbers as text, for JSON and for settings. Private to base/. */
#ifndef MD_BASE_NUMBER_H
#define MD_BASE_NUMBER_H

#include "base/error.h"

enum { MD_NUMBER_BYTES = 32 };          /* enough for any double and its NUL */
#define MD_EXACT_INT 9007199254740992.0 /* 2^53: integers up to here are exact doubles */

/* The shortest of %.15g, %.16g and %.17g that reads back as the same number; integers up to 2^53
 * are written without an exponent. */
void md_number_format(double value, char out[MD_NUMBER_BYTES]);

/* Decimal text to a double: digits, sign, point and exponent only, nothing before or after. False
 * when malformed; an overflow gives an infinity. */
bool md_number_parse(const char *text, double *out);

#endif
