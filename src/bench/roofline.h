/* roofline.h: what this machine can do at best, measured by the same code that does the work: a large matrix
 * product and a large copy (Williams, Waterman & Patterson, "Roofline", CACM 52:4, 2009). */
#ifndef CLADE_BENCH_ROOFLINE_H
#define CLADE_BENCH_ROOFLINE_H

struct roofline {
    double gflops;       /* of a 1024^3 product with the threads set by tensor_set_threads() */
    double gbytes_per_s; /* of a copy of arrays that no cache holds: bytes read and written */
};

/* Measures for about half a second and keeps the better of it and *roofline (zeroed at first): called again
 * between rounds, it follows a machine whose speed drifts upwards. */
void roofline_measure(struct roofline *roofline);
/* Least seconds for so much arithmetic and traffic. */
double roofline_seconds(const struct roofline *roofline, double flops, double bytes);

#endif
