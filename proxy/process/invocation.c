/* proxy/process/invocation.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/invocation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORDS_BYTES_MAX = 1024 * 1024 };

/* ---- the path ---- */

static bool is_program(const char *path, const char *program)
{
    struct stat found;
    struct stat wanted;
    return stat(path, &found) == 0 && stat(program, &wanted) == 0 &&
           found.st_dev == wanted.st_dev && found.st_ino == wanted.st_ino;
}

/* True: it fits, and it is the program. */
static bool try(const char *folder, size_t folder_len, const char *word, const char *program,
                char path[PATH_MAX])
{
    int len = snprintf(path, PATH_MAX, "%.*s/%s", (int)folder_len, folder, word);
    return len > 0 && len < PATH_MAX && path[0] == '/' && is_program(path, program);
}

bool invocation_find(const char *word, const char *folder, const char *search, const char *program,
                     char path[PATH_MAX])
{
    if (word[0] == '/') {
        int len = snprintf(path, PATH_MAX, "%s", word);
        return len < PATH_MAX && is_program(path, program);
    }
    if (strchr(word, '/') != NULL) {
        return try(folder, strlen(folder), word, program, path);
    }
    while (search != NULL && *search != '\0') {
        size_t len = strcspn(search, ":");
        if (try(search, len, word, program, path)) {
            return true;
        }
        search += search[len] == ':' ? len + 1 : len;
    }
    return false;
}

/* What the kernel says has no links in it, so a link that is turned to a new version would not be
 * seen: argv[0] comes first. */
static enum status find_path(struct invocation *invocation)
{
    char folder[PATH_MAX];
    if (getcwd(folder, sizeof(folder)) != NULL &&
        invocation_find(invocation->words[0], folder, getenv("PATH"), "/proc/self/exe",
                        invocation->path)) {
        return STATUS_OK;
    }
    ssize_t len = readlink("/proc/self/exe", invocation->path, sizeof(invocation->path) - 1);
    if (len <= 0) {
        return STATUS_SYS;
    }
    invocation->path[len] = '\0';
    /* Replaced already, the kernel would say "PATH (deleted)". */
    return is_program(invocation->path, "/proc/self/exe") ? STATUS_OK : STATUS_SYS;
}

/* ---- the words ---- */

static enum status read_words(struct invocation *invocation, size_t *len)
{
    int file = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    invocation->text = malloc(WORDS_BYTES_MAX);
    if (file < 0 || invocation->text == NULL) {
        if (file >= 0) {
            (void)close(file);
        }
        return STATUS_SYS;
    }
    ssize_t got = 0;
    while ((got = read(file, invocation->text + *len, WORDS_BYTES_MAX - *len)) > 0) {
        *len += (size_t)got;
    }
    (void)close(file);
    bool is_whole =
        got == 0 && *len > 0 && *len < WORDS_BYTES_MAX && invocation->text[*len - 1] == '\0';
    return is_whole ? STATUS_OK : STATUS_SYS;
}

static enum status split_words(struct invocation *invocation, size_t len)
{
    size_t count = 0;
    for (size_t i = 0; i < len; i++) {
        count += invocation->text[i] == '\0' ? 1U : 0U;
    }
    invocation->words = calloc(count + 1, sizeof(*invocation->words));
    if (invocation->words == NULL) {
        return STATUS_NOMEM;
    }
    char *at = invocation->text;
    for (size_t i = 0; i < count; i++) {
        invocation->words[i] = at;
        at += strlen(at) + 1;
    }
    return STATUS_OK;
}

enum status invocation_open(struct invocation *invocation)
{
    size_t len = 0;
    *invocation = (struct invocation){.words = NULL};
    enum status status = read_words(invocation, &len);
    if (status == STATUS_OK) {
        status = split_words(invocation, len);
    }
    if (status == STATUS_OK) {
        status = find_path(invocation);
    }
    if (status != STATUS_OK) {
        invocation_close(invocation);
    }
    return status;
}

void invocation_close(struct invocation *invocation)
{
    free(invocation->words);
    free(invocation->text);
    *invocation = (struct invocation){.words = NULL};
}

char **invocation_rehearsal(const struct invocation *invocation)
{
    static char rehearse[] = INVOCATION_REHEARSE;
    size_t count = 0;
    while (invocation->words[count] != NULL) {
        count++;
    }
    char **words = calloc(count + 2, sizeof(*words));
    if (words == NULL || count < 2) {
        free(words);
        return NULL;
    }
    words[0] = invocation->words[0];
    words[1] = invocation->words[1]; /* run */
    words[2] = rehearse;
    memcpy(words + 3, invocation->words + 2, (count - 2) * sizeof(*words));
    return words;
}
