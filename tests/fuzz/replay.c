/* tests/fuzz/replay.c
 *
 * Runs a fuzz target over the files of its corpus folder, for compilers without libFuzzer and so
 * that each ordinary test run replays what fuzzing once found.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { INPUT_BYTES_MAX = 1 << 20 };

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return;
    }
    uint8_t *bytes = malloc(INPUT_BYTES_MAX);
    if (bytes != NULL) {
        size_t len = fread(bytes, 1, INPUT_BYTES_MAX, file);
        (void)LLVMFuzzerTestOneInput(bytes, len);
    }
    free(bytes);
    (void)fclose(file);
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (folder == NULL) {
            fprintf(stderr, "no corpus folder %s\n", argv[i]);
            return 1;
        }
        for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
            if (entry->d_name[0] == '.') {
                continue;
            }
            char path[4096];
            (void)snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
            replay_file(path);
            count++;
        }
        (void)closedir(folder);
    }
    printf("%zu inputs replayed\n", count);
    return count == 0 ? 1 : 0;
}
