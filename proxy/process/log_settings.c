/* proxy/process/log_settings.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/log_settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOG_FILE_MODE = 0640, ABOVE_STANDARD = 3 };

enum log_level log_settings_level(const struct config_log *settings)
{
    static const enum log_level LEVELS[] = {
        [CONFIG_LOG_LEVEL_ERROR] = LOG_ERROR,
        [CONFIG_LOG_LEVEL_WARN] = LOG_WARN,
        [CONFIG_LOG_LEVEL_INFO] = LOG_INFO,
        [CONFIG_LOG_LEVEL_DEBUG] = LOG_DEBUG,
    };
    return LEVELS[settings->level];
}

enum log_format log_settings_format(const struct config_log *settings)
{
    static const enum log_format FORMATS[] = {
        [CONFIG_LOG_FORMAT_AUTO] = LOG_AUTO,
        [CONFIG_LOG_FORMAT_JSON] = LOG_JSON,
        [CONFIG_LOG_FORMAT_TEXT] = LOG_TEXT,
    };
    return FORMATS[settings->format];
}

/* Pipes and terminals are opened anew. Files are not: two file offsets would overwrite each other's
 * lines. Sockets cannot be, nor can a pipe of another user's. */
static int open_standard(int number)
{
    struct stat facts;
    char path[32];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", number);
    int descriptor = -1;
    if (fstat(number, &facts) == 0 && (S_ISFIFO(facts.st_mode) || S_ISCHR(facts.st_mode))) {
        descriptor = open(path, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }
    return descriptor >= 0 ? descriptor : fcntl(number, F_DUPFD_CLOEXEC, ABOVE_STANDARD);
}

int log_settings_open(const struct config_log *settings, struct process_error *error)
{
    const struct config_file *destination = &settings->destination;
    const char *name = destination->path;
    int descriptor;
    if (name != NULL) {
        descriptor =
            open(name, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_CLOEXEC, LOG_FILE_MODE);
    } else {
        name = destination->word == NULL ? "stderr" : destination->word;
        descriptor = open_standard(strcmp(name, "stdout") == 0 ? STDOUT_FILENO : STDERR_FILENO);
    }
    if (descriptor < 0) {
        process_error_set(error, "the log cannot be written to %s: %s", name, strerror(errno));
    }
    return descriptor;
}
