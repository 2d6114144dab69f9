/* deploy/demo/site.c
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "deploy/demo/site.h"

#include "deploy/demo/page.h"
#include "deploy/demo/received.h"

#include <libwebsockets.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_BYTES_MAX = 2048 };

#define PAGE_POLICY                                                                                \
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "                  \
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "                     \
    "frame-ancestors 'none'"

struct page_head {
    unsigned int status;
    const char *type;
    size_t len;
};

static bool field_add(struct lws *wsi, const char *name, const char *value, unsigned char **at,
                      unsigned char *end)
{
    return lws_add_http_header_by_name(wsi, (const unsigned char *)name,
                                       (const unsigned char *)value, (int)strlen(value), at,
                                       end) == 0;
}

static bool head_send(struct lws *wsi, const struct page_head *head)
{
    unsigned char room[LWS_PRE + HEAD_BYTES_MAX];
    unsigned char *start = room + LWS_PRE;
    unsigned char *at = start;
    unsigned char *end = room + sizeof(room) - 1;
    return lws_add_http_common_headers(wsi, head->status, head->type, head->len, &at, end) == 0 &&
           field_add(wsi, "cache-control:", "no-store", &at, end) &&
           field_add(wsi, "x-content-type-options:", "nosniff", &at, end) &&
           field_add(wsi, "referrer-policy:", "no-referrer", &at, end) &&
           field_add(wsi, "content-security-policy:", PAGE_POLICY, &at, end) &&
           lws_finalize_write_http_header(wsi, start, &at, end) == 0;
}

static int answer_bytes(struct site_answer *answer, struct lws *wsi, unsigned int status,
                        const char *type, const void *bytes, size_t len)
{
    site_answer_fini(answer); /* of an earlier request of this connection */
    struct page_head head = {.status = status, .type = type, .len = len};
    if (!head_send(wsi, &head)) {
        return -1;
    }
    if (lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0) {
        return lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
    }
    answer->bytes = malloc(LWS_PRE + len);
    if (answer->bytes == NULL) {
        return -1;
    }
    memcpy(answer->bytes + LWS_PRE, bytes, len);
    answer->len = len;
    (void)lws_callback_on_writable(wsi);
    return 0;
}

static int answer_text(struct site_answer *answer, struct lws *wsi, unsigned int status,
                       const char *text)
{
    return answer_bytes(answer, wsi, status, "text/plain; charset=utf-8", text, strlen(text));
}

static int answer_session(struct site_answer *answer, struct lws *wsi)
{
    json_t *received = received_json(wsi);
    char *text = received == NULL ? NULL : json_dumps(received, JSON_INDENT(2));
    json_decref(received);
    if (text == NULL) {
        return -1;
    }
    int verdict = answer_bytes(answer, wsi, 200, "application/json", text, strlen(text));
    free(text);
    return verdict;
}

int site_answer_start(struct site_answer *answer, struct lws *wsi, const char *path)
{
    bool is_read = lws_hdr_total_length(wsi, WSI_TOKEN_GET_URI) > 0 ||
                   lws_hdr_total_length(wsi, WSI_TOKEN_HEAD_URI) > 0;
    if (!is_read) {
        /* The body of the request was not read: libwebsockets closes after the answer. */
        (void)lws_return_http_status(wsi, HTTP_STATUS_METHOD_NOT_ALLOWED, NULL);
        return -1;
    }
    if (strcmp(path, "/") == 0) {
        return answer_bytes(answer, wsi, 200, "text/html; charset=utf-8", page_bytes, page_len);
    }
    if (strcmp(path, "/api/session") == 0) {
        return answer_session(answer, wsi);
    }
    if (strcmp(path, "/healthz") == 0) {
        return answer_text(answer, wsi, 200, "ok\n");
    }
    return answer_text(answer, wsi, 404, "There is nothing here. Try /\n");
}

int site_answer_send(struct site_answer *answer, struct lws *wsi)
{
    if (answer->bytes == NULL) {
        return 0;
    }
    int sent = lws_write(wsi, answer->bytes + LWS_PRE, answer->len, LWS_WRITE_HTTP_FINAL);
    bool complete = sent >= 0 && (size_t)sent >= answer->len;
    site_answer_fini(answer);
    if (!complete) {
        return -1;
    }
    return lws_http_transaction_completed(wsi) != 0 ? -1 : 0;
}

void site_answer_fini(struct site_answer *answer)
{
    free(answer->bytes);
    *answer = (struct site_answer){.bytes = NULL};
}
