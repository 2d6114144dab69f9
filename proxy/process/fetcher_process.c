/* proxy/process/fetcher_process.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/fetcher_process.h"

#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "crypto/ocsp.h"
#include "proxy/process/channel.h"
#include "proxy/process/memory_file.h"
#include "proxy/process/role.h"
#include "proxy/process/sandbox.h"
#include "proxy/process/spawn.h"

enum {
    URL_BYTES_MAX = 2048,
    REQUEST_BYTES_MAX = 4096,
    CONNECT_MS = 5000,
    WHOLE_MS = 15000,
    ASK_MS = 5000,
};

struct response {
    char bytes[OCSP_RESPONSE_BYTES_MAX];
    size_t len;
};

static size_t on_bytes(char *bytes, size_t one, size_t len, void *self)
{
    (void)one; /* always 1 */
    struct response *response = self;
    if (len > sizeof(response->bytes) - response->len) {
        return 0; /* ends the transfer */
    }
    memcpy(response->bytes + response->len, bytes, len);
    response->len += len;
    return len;
}

/* Redirects are not followed: an answer comes from whom the certificate names, or not at all. */
static bool set_options(CURL *curl, const char *url, const struct memory_file *request,
                        struct curl_slist *fields, struct response *response)
{
    return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOPROXY, "*") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)WHOLE_MS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)request->len) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_POSTFIELDS, (const char *)request->bytes) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEDATA, response) == CURLE_OK;
}

/* RFC 6960 A.2: nothing else is an answer. NULL: it is one; else why not. */
static const char *refuse(CURL *curl, const struct response *response)
{
    static const char TYPE[] = "application/ocsp-response";
    long status = 0;
    const char *type = NULL;
    if (curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status != 200) {
        return "the responder answers with another status than 200";
    }
    if (curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &type) != CURLE_OK || type == NULL ||
        strncasecmp(type, TYPE, sizeof(TYPE) - 1) != 0 ||
        strchr("; ", type[sizeof(TYPE) - 1]) == NULL) {
        return "the responder's answer is not of the type application/ocsp-response";
    }
    return response->len == 0 ? "the responder's answer is empty" : NULL;
}

/* NULL: fetched; else why not. */
static const char *fetch(const char *url, const struct memory_file *request,
                         struct response *response)
{
    CURL *curl = curl_easy_init();
    struct curl_slist *fields = curl_slist_append(NULL, "Content-Type: application/ocsp-request");
    const char *why = "out of memory";
    if (curl != NULL && fields != NULL && set_options(curl, url, request, fields, response)) {
        CURLcode code = curl_easy_perform(curl);
        why = code != CURLE_OK ? curl_easy_strerror(code) : refuse(curl, response);
    }
    curl_slist_free_all(fields);
    curl_easy_cleanup(curl);
    return why;
}

static void tell_failure(const char *sentence)
{
    struct channel_message message = {.kind = CHANNEL_FAILED, .payload = slice_of(sentence)};
    (void)!channel_send(SPAWN_CHANNEL, &message);
}

static void tell_answer(uint32_t number, const struct response *response)
{
    int descriptor = memory_file_new("sallyport-ocsp", response->bytes, response->len);
    if (descriptor < 0) {
        tell_failure("no memory for the answer");
        return;
    }
    struct channel_message message = {.kind = CHANNEL_ANSWER,
                                      .number = number,
                                      .descriptors = {descriptor},
                                      .descriptor_count = 1};
    (void)!channel_send(SPAWN_CHANNEL, &message);
    (void)close(descriptor);
}

/* 0: curl will say what is wrong with the URL. */
static uint16_t port_of(const char *url)
{
    CURLU *parts = curl_url();
    char *text = NULL;
    unsigned long port = 0;
    if (parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_PORT, &text, CURLU_DEFAULT_PORT) == CURLUE_OK) {
        port = strtoul(text, NULL, 10);
    }
    curl_free(text);
    curl_url_cleanup(parts);
    return port > UINT16_MAX ? 0 : (uint16_t)port;
}

static void enter_sandbox(const char *url)
{
    struct sandbox_plan plan;
    sandbox_plan_fetcher(&plan, port_of(url));
    (void)sandbox_enter(&plan); /* what is missing, the other children have told */
}

static void act(const struct channel_message *ask)
{
    static struct response response;
    char url[URL_BYTES_MAX + 1];
    struct memory_file request;
    (void)snprintf(url, sizeof(url), "%.*s", SLICE_FORMAT(ask->payload));
    enter_sandbox(url);
    if (memory_file_map(&request, ask->descriptors[0], REQUEST_BYTES_MAX) != STATUS_OK) {
        tell_failure("the request cannot be read");
        return;
    }
    const char *why = fetch(url, &request, &response);
    memory_file_unmap(&request);
    if (why != NULL) {
        tell_failure(why);
        return;
    }
    tell_answer(ask->number, &response);
}

int fetcher_process_run(size_t index)
{
    (void)index;
    static uint8_t packet[CHANNEL_PACKET_MAX];
    struct pollfd entry = {.fd = SPAWN_CHANNEL, .events = POLLIN};
    struct channel_message ask;
    role_harden("fetcher");
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || poll(&entry, 1, ASK_MS) != 1 ||
        channel_receive(SPAWN_CHANNEL, CHANNEL_MASTER, packet, &ask) != STATUS_OK) {
        return 1;
    }
    if (ask.kind == CHANNEL_ASK) {
        act(&ask);
    }
    curl_global_cleanup();
    return 0;
}
