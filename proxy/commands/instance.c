/* proxy/commands/instance.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/commands/instance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/arguments.h"
#include "config/load.h"
#include "proxy/commands/answer.h"

#define UNIX_PREFIX "unix:"

/* ---- options ---- */

static bool read_timeout(struct instance_options *options, const char *text)
{
    char *end = NULL;
    double seconds = text == NULL ? -1 : strtod(text, &end);
    if (text == NULL || end == text || (*end != '\0' && strcmp(end, "s") != 0) || seconds < 0 ||
        seconds > 86400) {
        (void)fprintf(stderr, "sallyport %s: --timeout takes a number of seconds\n", options->verb);
        return false;
    }
    options->timeout_ms = (long)(seconds * 1000);
    return true;
}

static bool take_value(const struct instance_options *options, const char *name, const char *value,
                       const char **out)
{
    if (value == NULL) {
        (void)fprintf(stderr, "sallyport %s: %s takes a value\n", options->verb, name);
        return false;
    }
    *out = value;
    return true;
}

bool instance_options_read(struct instance_options *options, int argc, char **argv)
{
    *options = (struct instance_options){.verb = argv[0], .timeout_ms = -1};
    for (int i = 1; i < argc; i++) {
        const char *option = argv[i];
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool is_read = true;
        if (strcmp(option, "-c") == 0 || strcmp(option, "--config") == 0) {
            is_read = take_value(options, option, value, &options->config);
            i++;
        } else if (strcmp(option, "--admin") == 0) {
            is_read = take_value(options, option, value, &options->admin);
            i++;
        } else if (strcmp(option, "--timeout") == 0) {
            is_read = read_timeout(options, value);
            i++;
        } else if (strcmp(option, "--json") == 0) {
            options->is_json = true;
        } else if (strcmp(option, "--metrics") == 0 && strcmp(argv[0], "status") == 0) {
            options->is_metrics = true;
        } else if (strcmp(option, "--help") == 0 || strcmp(option, "-h") == 0) {
            options->is_help = true;
        } else {
            (void)fprintf(stderr, "sallyport %s: there is no option `%s`; see --help\n",
                          options->verb, option);
            is_read = false;
        }
        if (!is_read) {
            return false;
        }
    }
    return true;
}

void instance_options_help(const char *verb, const char *what)
{
    (void)printf("Usage: sallyport %s [-c FILE] [--admin unix:PATH] [OPTIONS]\n\n%s\n\n"
                 "  -c FILE             the configuration of the instance (default %s)\n"
                 "  --admin unix:PATH   its admin socket, without reading a configuration\n"
                 "  --json              print what the instance answers, as JSON\n"
                 "  --timeout SECONDS   how long to wait\n",
                 verb, what, INSTANCE_CONFIG_FILE);
}

/* ---- the socket ---- */

/* Takes "unix:/path". */
static bool take_address(const char *address, char *path)
{
    size_t prefix = strlen(UNIX_PREFIX);
    if (strncmp(address, UNIX_PREFIX, prefix) != 0 || address[prefix] != '/' ||
        strlen(address + prefix) >= INSTANCE_PATH_BYTES) {
        (void)fprintf(stderr,
                      "sallyport: `%s` is not an admin address; expected unix:/PATH (below %d "
                      "bytes)\n",
                      address, INSTANCE_PATH_BYTES);
        return false;
    }
    (void)snprintf(path, INSTANCE_PATH_BYTES, "%s", address + prefix);
    return true;
}

static bool take_default(char *path)
{
    char address[INSTANCE_PATH_BYTES];
    instance_default_admin(address, sizeof(address));
    if (address[0] == '\0') {
        (void)fprintf(stderr, "sallyport: there is no admin socket here\n");
        return false;
    }
    return take_address(address, path);
}

static bool take_from_config(const char *file, char *path)
{
    struct problem_list *problems = problem_list_new();
    struct source source = source_files(NULL);
    struct config *config = problems == NULL ? NULL : config_load(&source, file, problems);
    bool is_taken = false;
    if (config == NULL) {
        if (problems != NULL) {
            problem_list_print(problems, stderr);
        }
    } else if (config->admin.address.kind != CONFIG_ADDRESS_UNIX) {
        (void)fprintf(stderr, "sallyport: %s has no admin address\n", file);
    } else {
        (void)snprintf(path, INSTANCE_PATH_BYTES, "%s", config->admin.address.path);
        is_taken = true;
    }
    config_free(config);
    problem_list_free(problems);
    return is_taken;
}

bool instance_find(const struct instance_options *options, char *path)
{
    if (options->admin != NULL) {
        return take_address(options->admin, path);
    }
    if (options->config != NULL) {
        return take_from_config(options->config, path);
    }
    struct arguments arguments = {0};
    arguments_from_environment(&arguments);
    if (arguments.values[ARGUMENT_ADMIN] != NULL) {
        return take_address(arguments.values[ARGUMENT_ADMIN], path);
    }
    if (!arguments_are_enough(&arguments) && access(INSTANCE_CONFIG_FILE, F_OK) == 0) {
        return take_from_config(INSTANCE_CONFIG_FILE, path);
    }
    return take_default(path);
}

/* A folder below one that everybody may write to must be ours. */
static bool own_folder(const char *folder)
{
    struct stat facts;
    (void)mkdir(folder, 0700);
    return lstat(folder, &facts) == 0 && S_ISDIR(facts.st_mode) && facts.st_uid == geteuid();
}

void instance_default_admin(char *address, size_t size)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (geteuid() == 0 || access("/run/sallyport", W_OK) == 0) {
        (void)snprintf(address, size, "%s", UNIX_PREFIX "/run/sallyport/admin.sock");
        return;
    }
    if (runtime != NULL && runtime[0] == '/' && access(runtime, W_OK) == 0) {
        (void)snprintf(address, size, UNIX_PREFIX "%s/sallyport/admin.sock", runtime);
        return;
    }
    char folder[64];
    (void)snprintf(folder, sizeof(folder), "/tmp/sallyport-%u", (unsigned)geteuid());
    if (own_folder(folder)) {
        (void)snprintf(address, size, UNIX_PREFIX "%s/admin.sock", folder);
        return;
    }
    address[0] = '\0';
}

void instance_tell_silence(const char *path)
{
    if (errno == ENOENT || errno == ECONNREFUSED) {
        (void)fprintf(stderr, "sallyport: no instance is running at unix:%s\n", path);
        return;
    }
    (void)fprintf(stderr, "sallyport: unix:%s: %s\n", path, strerror(errno));
}

void instance_print_failing(const json_t *failing)
{
    size_t i = 0;
    const json_t *child = NULL;
    json_array_foreach(failing, i, child)
    {
        (void)printf(
            "WARNING: %s keeps failing: restarts %lld, the last one after %lld ms; the log "
            "says why\n",
            answer_text(child, "child"), answer_number(child, "restarts"),
            answer_number(child, "delay_ms"));
    }
}
