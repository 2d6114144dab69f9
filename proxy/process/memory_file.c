/* proxy/process/memory_file.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/memory_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEALS = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE };

static enum status write_all(int descriptor, const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        ssize_t written = write(descriptor, bytes, len);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return STATUS_SYS;
        }
        bytes += written;
        len -= (size_t)written;
    }
    return STATUS_OK;
}

int memory_file_new(const char *name, const void *bytes, size_t len)
{
    int descriptor = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor < 0) {
        return -1;
    }
    if (write_all(descriptor, bytes, len) != STATUS_OK ||
        fcntl(descriptor, F_ADD_SEALS, SEALS) != 0) {
        int saved = errno;
        (void)close(descriptor);
        errno = saved;
        return -1;
    }
    return descriptor;
}

enum status memory_file_map(struct memory_file *file, int descriptor, size_t limit_bytes)
{
    struct stat facts;
    int seals = fcntl(descriptor, F_GET_SEALS);
    if (seals < 0 || (seals & SEALS) != SEALS || fstat(descriptor, &facts) != 0 ||
        facts.st_size <= 0 || (uint64_t)facts.st_size > limit_bytes) {
        return STATUS_REFUSED;
    }
    void *at = mmap(NULL, (size_t)facts.st_size, PROT_READ, MAP_SHARED, descriptor, 0);
    if (at == MAP_FAILED) {
        return STATUS_SYS;
    }
    file->bytes = at;
    file->len = (size_t)facts.st_size;
    return STATUS_OK;
}

void memory_file_unmap(struct memory_file *file)
{
    if (file->bytes != NULL) {
        (void)munmap((void *)(uintptr_t)file->bytes, file->len);
        *file = (struct memory_file){0};
    }
}
