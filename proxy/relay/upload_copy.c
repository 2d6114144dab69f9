/* proxy/relay/upload_copy.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/relay/upload_copy.h"

#include "proxy/relay/exchange_state.h"

static bool has_body(const struct body *body)
{
    return body->state == BODY_OPEN || buffer_len(&body->bytes) > 0;
}

void upload_copy_begin(struct relay_exchange *relayed, const struct requester *requester)
{
    struct body *body = &relayed->exchange.request_body;
    struct relay_shared *shared = relayed->shared;
    if (!requester->calls->may_be_refused || !has_body(body)) {
        upload_copy_end(relayed);
        return;
    }
    if (!relayed->has_upload_copy && shared->upload_copies < UPLOAD_COPIES_MAX) {
        relayed->has_upload_copy = true;
        shared->upload_copies++;
    }
    if (relayed->has_upload_copy) {
        body_keep(body, UPLOAD_COPY_BYTES);
    }
}

void upload_copy_end(struct relay_exchange *relayed)
{
    body_forget(&relayed->exchange.request_body);
    if (relayed->has_upload_copy) {
        relayed->has_upload_copy = false;
        relayed->shared->upload_copies--;
    }
}
