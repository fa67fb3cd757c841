/* matrix_panel.h: the width of a panel of a matrix state, for the loops over it. */
#ifndef CLADE_TENSOR_LOOPS_MATRIX_PANEL_H
#define CLADE_TENSOR_LOOPS_MATRIX_PANEL_H

#include "tensor/loops/vector.h"

/* Two vectors a row: with the sums of SCAN_BLOCK tokens they fill half of the registers. */
enum { VECTORS = 2, PANEL = VECTORS * VECTOR_LANES };

#endif
