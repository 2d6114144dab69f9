/* proxy/gossip/peer_pages.c: the shared file of peer_table.h · SPDX-License-Identifier: Apache-2.0
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/gossip/peer_table.h"

int peer_pages_new(void)
{
    int descriptor = memfd_create("sallyport-peers", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor >= 0 &&
        (ftruncate(descriptor, sizeof(struct peer_pages)) != 0 ||
         fcntl(descriptor, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)) {
        (void)close(descriptor);
        return -1;
    }
    return descriptor;
}

struct peer_pages *peer_pages_map(int descriptor, bool is_writable)
{
    struct stat facts;
    if (fstat(descriptor, &facts) != 0 || facts.st_size != (off_t)sizeof(struct peer_pages)) {
        return NULL;
    }
    void *at = mmap(NULL, sizeof(struct peer_pages), PROT_READ | (is_writable ? PROT_WRITE : 0),
                    MAP_SHARED, descriptor, 0);
    return at == MAP_FAILED ? NULL : at;
}

void peer_pages_unmap(struct peer_pages *pages)
{
    if (pages != NULL) {
        (void)munmap(pages, sizeof(*pages));
    }
}

/* A process that was compromised may have written anything: texts are ended here, and become such
 * as any reader can print. */
static void end_texts(struct peer_table_key *keys)
{
    for (size_t i = 0; i < KEYRING_KEYS_MAX; i++) {
        char *id = keys[i].id;
        id[KEYRING_ID_BYTES - 1] = '\0';
        for (; *id != '\0'; id++) {
            bool is_digit = (*id >= '0' && *id <= '9') || (*id >= 'a' && *id <= 'f');
            *id = is_digit ? *id : '?';
        }
    }
}

bool peer_pages_read_keys(const struct peer_pages *pages, struct peer_table_key *keys,
                          size_t *count, uint32_t *generation)
{
    enum { ATTEMPTS = 100 };
    for (int i = 0; i < ATTEMPTS; i++) {
        uint32_t before = __atomic_load_n(&pages->is_changing, __ATOMIC_ACQUIRE);
        memcpy(keys, pages->keys, sizeof(pages->keys));
        *count = pages->key_count;
        *generation = pages->generation;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        uint32_t after = __atomic_load_n(&pages->is_changing, __ATOMIC_RELAXED);
        if (before == after && (before & 1U) == 0 && *count <= KEYRING_KEYS_MAX) {
            end_texts(keys);
            return true;
        }
    }
    return false;
}

const char *peer_counter_name(enum peer_counter counter)
{
#define PEER_COUNTER_NAME(code, name, help) name,
    static const char *const NAMES[] = {PEER_COUNTER_TABLE(PEER_COUNTER_NAME)};
#undef PEER_COUNTER_NAME
    return counter < PEER_COUNTERS ? NAMES[counter] : "?";
}
