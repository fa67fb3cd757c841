/* threads.h: what a run does around its parallel loops. */
#ifndef CLADE_TENSOR_THREADS_H
#define CLADE_TENSOR_THREADS_H

/* Between these two denormals count as zero (gated states decay into them, at a hundred times the cost), in
 * this thread and from the first parallel loop on in the workers: a small graph wakes none. Then each thread
 * has its state back. */
void start_flushing(void);
void stop_flushing(void);

#endif
