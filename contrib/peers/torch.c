/* Eager PyTorch, in a Python program of its own (torch-peer.py) that answers over pipes and takes the time
 * itself. */
#include "base/memory.h"
#include "peer.h"
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t child;
static FILE *to_child, *from_child;
static char torch_version[64];

static enum status lost(struct error *error)
{
    return error_set(error, STATUS_OUTSIDE,
                     "torch: the program does not answer; is python3-torch installed? (PYTHON "
                     "names another interpreter than /usr/bin/python3)");
}

static enum status answer(char *line, size_t size, struct error *error)
{
    fflush(to_child);
    if (!fgets(line, (int)size, from_child))
        return lost(error);
    line[strcspn(line, "\n")] = '\0';
    return STATUS_OK;
}

/* In the child: threads are counted when the libraries are loaded, so the environment is set here. */
static _Noreturn void become_python(int input, int output, int threads)
{
    char count[16];
    const char *python = getenv("PYTHON");
    snprintf(count, sizeof count, "%d", threads);
    setenv("OMP_NUM_THREADS", count, 1);
    setenv("OPENBLAS_NUM_THREADS", count, 1);
    dup2(input, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    execlp(python ? python : "/usr/bin/python3", "python3", PEERS_FOLDER "/torch-peer.py", count,
           (char *)NULL);
    _exit(127);
}

static enum status open_torch(const char *modules, int threads, struct error *error)
{
    int there[2], back[2];
    if (pipe2(there, O_CLOEXEC) || pipe2(back, O_CLOEXEC) || (child = fork()) < 0)
        return error_set(error, STATUS_OUTSIDE, "torch: no process to be had");
    if (child == 0)
        become_python(there[0], back[1], threads);
    close(there[0]);
    close(back[1]);
    signal(SIGPIPE, SIG_IGN); /* a child that ends is noticed when it does not answer */
    to_child = fdopen(there[1], "w");
    from_child = fdopen(back[0], "r");
    return answer(torch_version, sizeof torch_version, error);
}

static const char *version(void)
{
    return torch_version;
}

static bool has(enum peer_operation operation)
{
    return true;
}

static void send_tensor(const char *name, const float *values, int64_t count)
{
    if (!values)
        return;
    fprintf(to_child, "tensor %s %" PRId64 "\n", name, count);
    fwrite(values, sizeof *values, (size_t)count, to_child);
}

static void *prepare(const struct problem *p, struct error *error)
{
    char line[64];
    int64_t gates = p->length * p->heads;
    fprintf(to_child, "prepare %s %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %" PRId64 " %.17g\n",
            operation_name(p->operation), p->length, p->heads, p->key_heads, p->width, p->value_width,
            p->scale);
    send_tensor("q", p->query, problem_query_size(p));
    send_tensor("k", p->key, problem_query_size(p));
    send_tensor("v", p->value, problem_result_size(p));
    send_tensor("log_decay", p->log_decay, problem_decay_size(p));
    send_tensor("beta", p->beta, gates);
    send_tensor("delta", p->delta, gates);
    send_tensor("rate", p->rate, p->heads);
    fprintf(to_child, "end\n");
    return answer(line, sizeof line, error) ? NULL : memory_copy(&p, sizeof p);
}

static enum status run(void *prepared, double *seconds, struct error *error)
{
    char line[64];
    fprintf(to_child, "run\n");
    if (answer(line, sizeof line, error))
        return error->status;
    *seconds = strtod(line, NULL);
    return STATUS_OK;
}

static enum status result(void *prepared, float *values, struct error *error)
{
    const struct problem *p = *(const struct problem **)prepared;
    size_t count = (size_t)problem_result_size(p);
    fprintf(to_child, "result\n");
    fflush(to_child);
    return fread(values, sizeof *values, count, from_child) == count ? STATUS_OK : lost(error);
}

static void release(void *prepared)
{
    free(prepared);
}

static void close_torch(void)
{
    fclose(to_child);
    fclose(from_child);
    waitpid(child, NULL, 0);
}

const struct peer torch_peer = {"torch", open_torch, version, has,        prepare,
                                run,     result,     release, close_torch};
