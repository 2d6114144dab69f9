/* proxy/process/reload_limits.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/reload_limits.h"

#include <string.h>

#include "config/address.h"
#include "proxy/process/foundation.h"
#include "proxy/process/roster_keyholders.h"

static bool is_same_text(const char *left, const char *right)
{
    return left == right || (left != NULL && right != NULL && strcmp(left, right) == 0);
}

static bool is_same_file(const struct config_file *left, const struct config_file *right)
{
    return is_same_text(left->path, right->path) && is_same_text(left->word, right->word);
}

size_t reload_limits_tell(const struct config *present, const struct config *next,
                          size_t keyholder_count, FILE *complaints)
{
    const struct {
        const char *setting;
        bool is_other;
        const struct place *place;
    } rows[] = {
        {"the number of workers",
         foundation_count_workers(present) != foundation_count_workers(next), NULL},
        {"`user`", !is_same_text(present->user, next->user), NULL},
        {"the admin address", !address_is_same(&present->admin.address, &next->admin.address),
         &next->admin.address.place},
        {"the destination of the log",
         !is_same_file(&present->log.destination, &next->log.destination),
         &next->log.destination.place},
        {"`tickets.spent_max`", present->tickets.spent_max != next->tickets.spent_max, NULL},
        {"having certificates at all", keyholder_count == 0 && next->certificate_count > 0, NULL},
        {"the number of keyholders",
         keyholder_count > 0 && next->certificate_count > 0 &&
             roster_keyholders_wanted(next, foundation_count_workers(next)) != keyholder_count,
         NULL},
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct place *place = rows[i].place;
        if (!rows[i].is_other) {
            continue;
        }
        count++;
        if (place != NULL && place->file != NULL && place->line > 0) {
            (void)fprintf(complaints, "%s:%u:%u: ", place->file, place->line, place->column);
        } else {
            (void)fprintf(complaints, "%s: ", next->file);
        }
        (void)fprintf(complaints,
                      "%s cannot change while the instance runs; expected what it was started "
                      "with, or a new start\n",
                      rows[i].setting);
    }
    return count;
}
