/* tensor/real.h: the element type of the reference build.
 *
 * The library is compiled with md_real = float. The gradient tests compile the same sources with
 * MD_REAL_DOUBLE, plain C kernels only, so that finite differences see no rounding noise.
 */
#ifndef MD_TENSOR_REAL_H
#define MD_TENSOR_REAL_H

#ifdef MD_REAL_DOUBLE
typedef double md_real;
#else
typedef float md_real;
#endif

#endif
