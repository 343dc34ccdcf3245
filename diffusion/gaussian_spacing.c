/* diffusion/gaussian_spacing.c: see gaussian_spacing.h. */
#include "diffusion/gaussian_spacing.h"

#include <math.h>

const char *const md_spacing_names[] = {"leading", "linspace", "trailing", "karras", NULL};

static const double rho = 7; /* EDM, table 1 */

double md_karras_sigma(double smallest, double largest, int N, int n) {
    double top = pow(largest, 1 / rho), bottom = pow(smallest, 1 / rho);
    if (n == 0) return largest;
    return n == N - 1 ? smallest : pow(top + (bottom - top) * n / (N - 1), rho);
}

int md_spacing_index(md_spacing_kind how, int T, int N, int n) {
    switch (how) {
    case MD_SPACING_LEADING: return T / N * (N - 1 - n);
    case MD_SPACING_LINSPACE:
        return N == 1 ? T - 1 : (int)rint((double)(T - 1) * (N - 1 - n) / (N - 1));
    case MD_SPACING_TRAILING: return (int)rint((double)T * (N - n) / N) - 1;
    case MD_SPACING_KARRAS: break;
    }
    MD_BUG_IF(true);
    return 0;
}

static mdlm_status check(const md_gaussian *p, md_spacing_kind how, int N, mdlm_error *err) {
    int most = how == MD_SPACING_KARRAS ? MD_MOST_TIMESTEPS : p->T;
    if (N < 1) return md_fail(err, MDLM_USAGE, "%d sampling steps: expected at least 1", N);
    if (N > most && how == MD_SPACING_KARRAS)
        return md_fail(err, MDLM_USAGE, "%d sampling steps: expected at most %d", N, most);
    if (N > most)
        return md_fail(err, MDLM_USAGE,
                       "%d sampling steps of a process of %d timesteps: expected at most %d", N,
                       most, most);
    if (how == MD_SPACING_LEADING && p->levels[p->T - 1].signal == 0 && N < p->T)
        return md_fail(err, MDLM_USAGE,
                       "the spacing 'leading' leaves out the last level, which here is noise "
                       "alone: expected 'linspace' or 'trailing'");
    return MDLM_OK;
}

mdlm_status md_gaussian_spacing(const md_gaussian *p, md_spacing_kind how, int N, md_level *levels,
                                mdlm_error *err) {
    MD_TRY(check(p, how, N, err));
    double smallest = fmax(exp(-p->lambda[0] / 2), MD_EDM_SIGMA_LEAST);
    double largest = fmin(exp(-p->lambda[p->T - 1] / 2), MD_EDM_SIGMA_MOST);
    for (int n = 0; n < N; n++)
        levels[n] = how == MD_SPACING_KARRAS
                        ? md_gaussian_level_at(p, md_karras_sigma(smallest, largest, N, n))
                        : md_gaussian_level(p, md_spacing_index(how, p->T, N, n));
    levels[N] = md_gaussian_level(p, -1);
    return MDLM_OK;
}
