/* tests/bench/report.c
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/bench/report.h"

#include <string.h>
#include <time.h>

static const char *const fault_names[REPORT_FAULTS] = {
    [REPORT_CONNECT] = "connect",       [REPORT_HANDSHAKE] = "handshake",
    [REPORT_PARAMETERS] = "parameters", [REPORT_NOT_RESUMED] = "not_resumed",
    [REPORT_CLOSED] = "closed",         [REPORT_ANSWER] = "answer",
    [REPORT_STUCK] = "stuck",
};

int64_t report_now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The processor-time clock of another process is its user and system time, of all its threads, to
 * the nanosecond: /proc shows the same sum in hundredths of a second. */
static bool cpu_of(pid_t pid, double *seconds)
{
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0) {
        return false;
    }
    *seconds += (double)used.tv_sec + (double)used.tv_nsec / 1e9;
    return true;
}

static double cpu_of_watched(struct report *report)
{
    double seconds = 0;
    for (size_t i = 0; i < report->watched_count; i++) {
        report->is_watching = cpu_of(report->watched[i], &seconds) && report->is_watching;
    }
    return seconds;
}

bool report_watch(struct report *report, pid_t pid)
{
    double seconds = 0;
    if (report->watched_count == REPORT_WATCHED_MAX || !cpu_of(pid, &seconds)) {
        return false;
    }
    report->watched[report->watched_count++] = pid;
    report->is_watching = true;
    return true;
}

void report_begin(struct report *report)
{
    report->units = 0;
    report->reconnects = 0;
    memset(report->buckets, 0, sizeof(report->buckets));
    report->cpu_begin = cpu_of_watched(report);
    report->begin_ns = report_now_ns();
}

void report_end(struct report *report)
{
    report->end_ns = report_now_ns();
    report->cpu_end = cpu_of_watched(report);
}

/* Buckets of one microsecond up to 32, then 32 a doubling. */
static size_t bucket_of(uint64_t us)
{
    unsigned shift = 0;
    while (us >> shift >= 64) {
        shift++;
    }
    size_t bucket = (size_t)shift * 32 + (size_t)(us >> shift);
    return bucket < REPORT_BUCKETS ? bucket : REPORT_BUCKETS - 1;
}

static double bucket_us(size_t bucket)
{
    if (bucket < 64) {
        return (double)bucket;
    }
    size_t shift = bucket / 32 - 1;
    return (double)((uint64_t)(bucket - shift * 32) << shift);
}

void report_latency(struct report *report, int64_t ns)
{
    report->buckets[bucket_of(ns < 0 ? 0 : (uint64_t)ns / 1000)]++;
}

static double quantile_us(const struct report *report, double quantile)
{
    uint64_t total = 0;
    for (size_t i = 0; i < REPORT_BUCKETS; i++) {
        total += report->buckets[i];
    }
    uint64_t seen = 0;
    for (size_t i = 0; i < REPORT_BUCKETS; i++) {
        seen += report->buckets[i];
        if (seen > 0 && (double)seen >= quantile * (double)total) {
            return bucket_us(i);
        }
    }
    return 0;
}

void report_fail(struct report *report, enum report_fault fault, const char *sentence)
{
    if (report->fault_total == 0) {
        (void)snprintf(report->first_fault, sizeof(report->first_fault), "%s", sentence);
    }
    report->fault_total++;
    report->faults[fault]++;
}

static void print_text(const char *text, FILE *out)
{
    (void)fputc('"', out);
    for (const char *c = text; *c != '\0'; c++) {
        bool is_plain = *c >= ' ' && *c <= '~' && *c != '"' && *c != '\\';
        (void)fputc(is_plain ? *c : '.', out);
    }
    (void)fputc('"', out);
}

static void print_faults(const struct report *report, FILE *out)
{
    const char *comma = "";
    (void)fprintf(out, ", \"errors\": %llu, \"faults\": {",
                  (unsigned long long)report->fault_total);
    for (size_t i = 0; i < REPORT_FAULTS; i++) {
        if (report->faults[i] > 0) {
            (void)fprintf(out, "%s\"%s\": %llu", comma, fault_names[i],
                          (unsigned long long)report->faults[i]);
            comma = ", ";
        }
    }
    (void)fprintf(out, "}, \"first_fault\": ");
    print_text(report->first_fault, out);
}

void report_print(const struct report *report, const char *scenario, const char *unit, FILE *out)
{
    double seconds = (double)(report->end_ns - report->begin_ns) / 1e9;
    (void)fprintf(out, "{\"scenario\": \"%s\", \"unit\": \"%s\", \"count\": %llu", scenario, unit,
                  (unsigned long long)report->units);
    (void)fprintf(out, ", \"seconds\": %.6f, \"p50_us\": %.0f, \"p99_us\": %.0f", seconds,
                  quantile_us(report, 0.5), quantile_us(report, 0.99));
    (void)fprintf(out, ", \"reconnects\": %llu", (unsigned long long)report->reconnects);
    if (report->is_watching) {
        (void)fprintf(out, ", \"cpu_seconds\": %.6f", report->cpu_end - report->cpu_begin);
    }
    print_faults(report, out);
    (void)fprintf(out, "}\n");
    (void)fflush(out);
}
