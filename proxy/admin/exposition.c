/* proxy/admin/exposition.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/admin/exposition.h"

#include <inttypes.h>

#include "proxy/base/escape.h"

/* The format has three escapes: \\, \" and \n. What must not be shown as it is, and has none, is
 * shown as the log does, its backslash being one of the text. */
static void write_value(FILE *out, const char *value)
{
    slice text = slice_of(value);
    while (!slice_is_empty(text)) {
        char room[ESCAPE_BYTES_MAX];
        char first = text.at[0];
        struct escape_piece piece = escape_next(text, ESCAPE_TEXT, room);
        if (first == '\\' || first == '"') {
            (void)fprintf(out, "\\%c", first);
        } else if (first == '\n') {
            (void)fprintf(out, "\\n");
        } else {
            (void)fprintf(out, "%s%.*s", piece.bytes.at == text.at ? "" : "\\",
                          SLICE_FORMAT(piece.bytes));
        }
        text = slice_from(text, piece.taken);
    }
}

void exposition_family(FILE *out, const char *name, const char *kind, const char *help)
{
    (void)fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

void exposition_sample(FILE *out, const char *name, const struct exposition_label *labels,
                       size_t label_count, int64_t value)
{
    (void)fputs(name, out);
    for (size_t i = 0; i < label_count; i++) {
        (void)fprintf(out, "%s%s=\"", i == 0 ? "{" : ",", labels[i].name);
        write_value(out, labels[i].value);
        (void)fputc('"', out);
    }
    (void)fprintf(out, "%s %" PRId64 "\n", label_count == 0 ? "" : "}", value);
}
