/* What the C snippets in README.md and docs take as given. */
#include <stdio.h>
#include <stdlib.h>

#include <nibble/nibble.h>

extern ptrdiff_t m, n, k;
extern const float *w, *x, *bias;
extern float* y;
void snippet(void);
