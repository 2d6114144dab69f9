/* config/posture_print.c: the posture as JSON and as a table · SPDX-License-Identifier: Apache-2.0
 *
 * Declared in enforcement.h.
 */
#include <string.h>

#include "config/enforcement.h"

enum { COLUMNS = 4 };

struct row {
    char cells[COLUMNS][160];
};

static void format_day(config_day day, char text[16])
{
    (void)snprintf(text, 16, "%04d-%02d-%02d", day / 10000 % 10000, day / 100 % 100, day % 100);
}

/* --- JSON --------------------------------------------------------------------------------------
 */

static json_t *waiver_to_json(const struct judged_hop *judged)
{
    if (judged->waiver == NULL) {
        return json_null();
    }
    char expires[16];
    format_day(judged->waiver->expires, expires);
    return json_pack("{s:s, s:s, s:b}", "reason", judged->waiver->reason, "expires", expires,
                     "expired", judged->waiver_expired);
}

json_t *judged_hop_to_json(const struct judged_hop *judged)
{
    const struct hop *hop = &judged->hop;
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "name", hop->name, "from",
                     hop->from, "to", hop->to, "protection", hop_protection_name(hop), "evidence",
                     hop->evidence, "verdict", verdict_name(judged->verdict), "reason",
                     judged->reason, "waiver", waiver_to_json(judged));
}

static json_t *dates_to_json(const struct posture *posture)
{
    json_t *dates = json_array();
    for (size_t i = 0; i < posture->date_count; i++) {
        const struct judged_date *judged = &posture->dates[i];
        if (json_array_append_new(dates, expiry_to_json(&judged->date, &judged->view)) != 0) {
            json_decref(dates);
            return NULL;
        }
    }
    return dates;
}

json_t *posture_to_json(const struct posture *posture)
{
    json_t *hops = json_array();
    for (size_t i = 0; i < posture->count; i++) {
        if (json_array_append_new(hops, judged_hop_to_json(&posture->hops[i])) != 0) {
            json_decref(hops);
            return NULL;
        }
    }
    bool strict = posture->config->enforcement.mode == CONFIG_MODE_STRICT;
    return json_pack("{s:o, s:I, s:I, s:s, s:o, s:I}", "hops", hops, "violations",
                     (json_int_t)posture->violations, "waived", (json_int_t)posture->waived, "mode",
                     strict ? "strict" : "report", "certificates", dates_to_json(posture), "near",
                     (json_int_t)posture->near);
}

/* --- table -------------------------------------------------------------------------------------
 */

/* Letters as a terminal shows them: UTF-8's continuation bytes take no room. */
static int width_of(const char *text)
{
    int width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80 ? 1 : 0;
    }
    return width;
}

static void fill_row(const struct judged_hop *judged, struct row *row)
{
    const struct hop *hop = &judged->hop;
    enum { SIZE = sizeof(row->cells[0]) };
    (void)snprintf(row->cells[0], SIZE, "%s", hop->name);
    (void)snprintf(row->cells[1], SIZE, "%s", hop_protection_name(hop));
    (void)snprintf(row->cells[2], SIZE, "%s",
                   judged->verdict == VERDICT_VIOLATION ? "VIOLATION"
                                                        : verdict_name(judged->verdict));
    (void)snprintf(row->cells[3], SIZE, "%s → %s", hop->from, hop->to);
}

static void widen(int widths[COLUMNS], const struct row *row)
{
    for (size_t i = 0; i < COLUMNS; i++) {
        int width = width_of(row->cells[i]);
        widths[i] = width > widths[i] ? width : widths[i];
    }
}

static void print_row(const int widths[COLUMNS], const struct row *row, FILE *out)
{
    for (size_t i = 0; i + 1 < COLUMNS; i++) {
        (void)fprintf(out, "%s%*s  ", row->cells[i], widths[i] - width_of(row->cells[i]), "");
    }
    (void)fprintf(out, "%s\n", row->cells[COLUMNS - 1]);
}

/* Below the row, so that the table stays narrow enough for a terminal: what has to be seen on the
 * wire, why the verdict is not a plain `ok`, and the waiver. */
static void print_details(const struct judged_hop *judged, FILE *out)
{
    (void)fprintf(out, "    expected: %s\n", judged->hop.evidence);
    if (judged->certificates != NULL) {
        (void)fprintf(out, "    certificate: %s\n", judged->certificates);
    }
    if (judged->verdict != VERDICT_OK) {
        (void)fprintf(out, "    %s: %s\n",
                      judged->verdict == VERDICT_WAIVED ? "waived" : "VIOLATION", judged->reason);
    }
    if (judged->waiver == NULL) {
        return;
    }
    char expires[16];
    format_day(judged->waiver->expires, expires);
    const char *state = judged->waiver_expired          ? "expired on"
                        : judged->verdict == VERDICT_OK ? "not needed; until"
                                                        : "until";
    (void)fprintf(out, "    waiver (%s %s): %s\n", state, expires, judged->waiver->reason);
}

static void print_near_ends(const struct posture *posture, FILE *out)
{
    for (size_t i = 0; i < posture->date_count; i++) {
        if (posture->dates[i].view.is_near) {
            (void)fprintf(out, "WARNING: %s\n", posture->dates[i].sentence);
        }
    }
}

void posture_print(const struct posture *posture, FILE *out)
{
    const struct row head = {.cells = {"HOP", "PROTECTION", "VERDICT", "FROM → TO"}};
    int widths[COLUMNS] = {0};
    struct row row;
    widen(widths, &head);
    for (size_t i = 0; i < posture->count; i++) {
        fill_row(&posture->hops[i], &row);
        widen(widths, &row);
    }
    print_row(widths, &head, out);
    for (size_t i = 0; i < posture->count; i++) {
        fill_row(&posture->hops[i], &row);
        print_row(widths, &row, out);
        print_details(&posture->hops[i], out);
    }
    print_near_ends(posture, out);
    bool reports = posture->config->enforcement.mode == CONFIG_MODE_REPORT;
    (void)fprintf(out, "%zu hop%s, %zu violation%s, %zu waived%s\n", posture->count,
                  posture->count == 1 ? "" : "s", posture->violations,
                  posture->violations == 1 ? "" : "s", posture->waived,
                  reports ? "; mode: report, violations do not stop the start" : "");
}

void posture_print_violations(const struct posture *posture, FILE *out)
{
    for (size_t i = 0; i < posture->count; i++) {
        const struct judged_hop *judged = &posture->hops[i];
        const struct place *place = &judged->hop.place;
        if (judged->verdict != VERDICT_VIOLATION) {
            continue;
        }
        /* A generated file has no line that anybody could look at. */
        if (place->file != NULL && place->file[0] != '(') {
            (void)fprintf(out, "%s:%u:%u: ", place->file, place->line, place->column);
        }
        (void)fprintf(out, "hop %s: %s\n", judged->hop.name, judged->reason);
    }
}
