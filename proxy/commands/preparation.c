/* proxy/commands/preparation.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/commands/preparation.h"

#include <stdio.h>
#include <time.h>

#include "config/load.h"
#include "proxy/process/snapshot.h"

static enum command_exit system_failure(const struct preparation *preparation, const char *what)
{
    (void)fprintf(preparation->complaints, "sallyport %s: %s\n", preparation->choice->verb, what);
    return COMMAND_SYSTEM;
}

/* ---- a configuration without a file ---- */

/* False: told on standard error. */
static bool complete_certificate(struct preparation *preparation, bool is_rehearsal)
{
    const char **values = preparation->arguments.values;
    if (values[ARGUMENT_CERTIFICATE] != NULL || values[ARGUMENT_KEY] != NULL) {
        return true;
    }
    if (is_rehearsal) {
        values[ARGUMENT_CERTIFICATE] = LOCAL_CERTIFICATE_REHEARSED;
        values[ARGUMENT_KEY] = LOCAL_CERTIFICATE_REHEARSED;
        return local_certificate_rehearse(preparation->overlay, values[ARGUMENT_HOST]);
    }
    if (!local_certificate_make(&preparation->local, values[ARGUMENT_HOST])) {
        return false;
    }
    preparation->has_local = true;
    values[ARGUMENT_CERTIFICATE] = preparation->local.chain;
    values[ARGUMENT_KEY] = preparation->local.key;
    return true;
}

static enum command_exit load_arguments(struct preparation *preparation, bool is_rehearsal)
{
    const char **values = preparation->arguments.values;
    preparation->overlay = bundle_new();
    if (preparation->overlay == NULL) {
        return system_failure(preparation, "out of memory");
    }
    if (values[ARGUMENT_ADMIN] == NULL) {
        instance_default_admin(preparation->admin, sizeof(preparation->admin));
        values[ARGUMENT_ADMIN] = preparation->admin[0] == '\0' ? NULL : preparation->admin;
    }
    if (!complete_certificate(preparation, is_rehearsal)) {
        return COMMAND_SYSTEM;
    }
    preparation->config =
        arguments_load(&preparation->arguments, preparation->overlay, preparation->problems);
    return COMMAND_FINE;
}

/* ---- all ---- */

/* ---- a configuration in files ---- */

static bool copy_bundle(struct bundle *to, const struct bundle *from)
{
    for (size_t i = 0; i < bundle_count(from); i++) {
        const struct bundle_entry *entry = bundle_at(from, i);
        if (!bundle_add(to, entry->name, entry->bytes, entry->len)) {
            return false;
        }
    }
    return true;
}

/* The overlay keeps the YAML as it was read, since a file may be written at any time. */
static enum command_exit load_file(struct preparation *preparation)
{
    preparation->overlay = bundle_new();
    if (preparation->overlay == NULL ||
        (preparation->yaml != NULL && !copy_bundle(preparation->overlay, preparation->yaml))) {
        return system_failure(preparation, "out of memory");
    }
    struct source source = preparation->yaml == NULL ? source_files_recorded(preparation->overlay)
                                                     : source_files_but_yaml(preparation->overlay);
    preparation->config = config_load(&source, preparation->choice->file, preparation->problems);
    return COMMAND_FINE;
}

static enum command_exit load(struct preparation *preparation, bool is_rehearsal)
{
    preparation->problems = problem_list_new();
    if (preparation->problems == NULL) {
        return system_failure(preparation, "out of memory");
    }
    if (preparation->choice->file == NULL) {
        return load_arguments(preparation, is_rehearsal);
    }
    return load_file(preparation);
}

static enum command_exit inspect(struct preparation *preparation)
{
    struct source source = source_files(preparation->overlay);
    if (preparation->config != NULL &&
        !inspection_make(&preparation->inspection, preparation->config, &source,
                         preparation->problems)) {
        return system_failure(preparation, "out of memory");
    }
    if (problem_count(preparation->problems) > 0 || preparation->config == NULL) {
        problem_list_print(preparation->problems, preparation->complaints);
        return COMMAND_BAD_INPUT;
    }
    return COMMAND_FINE;
}

static enum command_exit judge(struct preparation *preparation)
{
    const struct inspection *inspection = &preparation->inspection;
    const struct enforcement_findings findings = {
        .certificates = inspection->facts,
        .certificate_count = inspection->fact_count,
        .gossip = inspection->gossip,
        .gossip_count = inspection->gossip_count,
        .dates = inspection->dates,
        .date_count = inspection->date_count,
        .now = (int64_t)time(NULL),
    };
    preparation->posture = posture_new(preparation->config, &findings);
    return preparation->posture != NULL ? COMMAND_FINE
                                        : system_failure(preparation, "out of memory");
}

static enum command_exit make(struct preparation *preparation, struct choice *choice,
                              bool is_rehearsal)
{
    preparation->choice = choice;
    preparation->arguments = choice->arguments;
    enum command_exit status = load(preparation, is_rehearsal);
    if (status == COMMAND_FINE) {
        status = inspect(preparation);
    }
    return status == COMMAND_FINE ? judge(preparation) : status;
}

enum command_exit preparation_make(struct preparation *preparation, struct choice *choice,
                                   bool is_rehearsal)
{
    *preparation = (struct preparation){.complaints = stderr};
    return choice_settle(choice) ? make(preparation, choice, is_rehearsal) : COMMAND_BAD_INPUT;
}

enum command_exit preparation_repeat(struct preparation *preparation, struct choice *choice,
                                     const struct bundle *yaml, FILE *complaints)
{
    *preparation = (struct preparation){.complaints = complaints, .yaml = yaml};
    enum command_exit status = make(preparation, choice, false);
    preparation->complaints = NULL; /* both are the caller's, and may go now */
    preparation->yaml = NULL;
    return status;
}

void preparation_fini(struct preparation *preparation)
{
    posture_free(preparation->posture);
    inspection_fini(&preparation->inspection);
    config_free(preparation->config);
    problem_list_free(preparation->problems);
    snapshot_wipe_bundle(preparation->overlay); /* a rehearsal's key */
}
