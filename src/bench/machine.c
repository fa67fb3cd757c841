#include "bench/machine.h"
#include "tensor/blas.h"
#include "tensor/loops/loops.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef CLADE_VERSION
#error "CLADE_VERSION is set by the build"
#endif

/* The value of the first "name : value" line of a file, or the first line if name is NULL. */
static bool read_line(const char *path, const char *name, char *value, size_t size)
{
    FILE *file = fopen(path, "re");
    char line[512];
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        char *colon = strchr(line, ':');
        if (name && (strncmp(line, name, strlen(name)) != 0 || !colon))
            continue;
        const char *text = name ? colon + 1 + strspn(colon + 1, " \t") : line;
        snprintf(value, size, "%s", text);
        found = true;
    }
    if (file)
        fclose(file);
    return found;
}

static void add_size(cJSON *object, const char *name, long bytes)
{
    if (bytes > 0)
        cJSON_AddNumberToObject(object, name, (double)bytes);
    else
        cJSON_AddNullToObject(object, name);
}

int machine_cores(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (int)cores : 1;
}

size_t machine_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? (size_t)pages * (size_t)size : SIZE_MAX;
}

double machine_load(void)
{
    double load;
    return getloadavg(&load, 1) == 1 ? load : -1;
}

cJSON *machine_describe(void)
{
    cJSON *machine = cJSON_CreateObject();
    char text[512];
    struct utsname name;
    cJSON_AddItemToObject(machine, "processor",
                          read_line("/proc/cpuinfo", "model name", text, sizeof text)
                              ? cJSON_CreateString(text)
                              : cJSON_CreateNull());
    cJSON_AddNumberToObject(machine, "cores", machine_cores());
    add_size(machine, "cache_l1d", sysconf(_SC_LEVEL1_DCACHE_SIZE));
    add_size(machine, "cache_l2", sysconf(_SC_LEVEL2_CACHE_SIZE));
    add_size(machine, "cache_l3", sysconf(_SC_LEVEL3_CACHE_SIZE));
    add_size(machine, "memory_bytes", sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE));
    if (uname(&name) == 0)
        snprintf(text, sizeof text, "%s %s %s", name.sysname, name.release, name.machine);
    cJSON_AddStringToObject(machine, "system", text);
    bool governed =
        read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", NULL, text, sizeof text);
    cJSON_AddItemToObject(machine, "governor", governed ? cJSON_CreateString(text) : cJSON_CreateNull());
    return machine;
}

cJSON *machine_build(void)
{
    cJSON *build = cJSON_CreateObject();
    cJSON_AddStringToObject(build, "version", CLADE_VERSION);
    cJSON_AddStringToObject(build, "precision", REAL_NAME);
    cJSON_AddStringToObject(build, "compiler", __VERSION__);
    cJSON_AddStringToObject(build, "blas", openblas_get_config());
    cJSON_AddStringToObject(build, "blas_core", openblas_get_corename());
    cJSON_AddNumberToObject(build, "cpu_level", loops_level());
    return build;
}
