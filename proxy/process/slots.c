/* proxy/process/slots.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/slots.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct slots {
    int descriptor;
    size_t count;
    size_t slot_bytes;
    uint8_t *at;
};

static const enum counter OPEN_COUNTERS[] = {
    COUNTER_CONNS_OPEN,
    COUNTER_BACKEND_CONNS_OPEN,
    COUNTER_EXCHANGES_OPEN,
    COUNTER_TUNNELS_OPEN,
};

/* A slot is whole pages, so that a worker can map its own and nothing else. */
static size_t slot_size(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (sizeof(struct counters) + page - 1) / page * page;
}

struct slots *slots_new(size_t count)
{
    struct slots *slots = calloc(1, sizeof(*slots));
    if (slots == NULL) {
        return NULL;
    }
    slots->count = count;
    slots->slot_bytes = slot_size();
    size_t bytes = count * slots->slot_bytes;
    slots->descriptor = memfd_create("sallyport-slots", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *at = MAP_FAILED;
    if (slots->descriptor >= 0 && ftruncate(slots->descriptor, (off_t)bytes) == 0 &&
        fcntl(slots->descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
        at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, slots->descriptor, 0);
    }
    if (at == MAP_FAILED) {
        slots_free(slots);
        return NULL;
    }
    slots->at = at;
    return slots;
}

void slots_free(struct slots *slots)
{
    if (slots == NULL) {
        return;
    }
    if (slots->at != NULL) {
        (void)munmap(slots->at, slots->count * slots->slot_bytes);
    }
    if (slots->descriptor >= 0) {
        (void)close(slots->descriptor);
    }
    free(slots);
}

int slots_descriptor(const struct slots *slots)
{
    return slots->descriptor;
}

struct counters *slots_at(const struct slots *slots, size_t index)
{
    return (struct counters *)(void *)(slots->at + index * slots->slot_bytes);
}

void slots_clear_open(const struct slots *slots, size_t index)
{
    struct counters *counters = slots_at(slots, index);
    for (size_t i = 0; i < sizeof(OPEN_COUNTERS) / sizeof(OPEN_COUNTERS[0]); i++) {
        counter_sub(counters, OPEN_COUNTERS[i], counter_get(counters, OPEN_COUNTERS[i]));
    }
}

struct counters *slots_attach(int descriptor, size_t index)
{
    struct stat facts;
    size_t bytes = slot_size();
    if (fstat(descriptor, &facts) != 0 || (uint64_t)facts.st_size < (index + 1) * bytes) {
        return NULL;
    }
    void *at =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, (off_t)(index * bytes));
    return at == MAP_FAILED ? NULL : at;
}
