/* proxy/process/link_trail.c · SPDX-License-Identifier: Apache-2.0 */
#include "proxy/process/link_trail.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINKS_MAX = 40 }; /* the kernel follows no more */

struct trail {
    char at[PATH_MAX];   /* the folder that was reached: no link in it */
    char rest[PATH_MAX]; /* of the way */
    int links;
};

/* False: too long. Either text may be inside of `out`. */
static bool join(char out[PATH_MAX], const char *left, const char *right)
{
    char room[PATH_MAX];
    size_t len = strlen(left);
    bool has_slash = len > 0 && left[len - 1] == '/';
    int written = snprintf(room, sizeof(room), "%s%s%s", left, has_slash ? "" : "/", right);
    bool fits = written >= 0 && (size_t)written < sizeof(room);
    if (fits) {
        memcpy(out, room, (size_t)written + 1);
    }
    return fits;
}

/* Moves the first name of the rest into `name`. False: there is none. */
static bool take_name(struct trail *trail, char name[PATH_MAX])
{
    const char *from = trail->rest + strspn(trail->rest, "/");
    size_t len = strcspn(from, "/");
    memcpy(name, from, len);
    name[len] = '\0';
    memmove(trail->rest, from + len, strlen(from + len) + 1);
    return len > 0;
}

static bool has_rest(const struct trail *trail)
{
    return trail->rest[strspn(trail->rest, "/")] != '\0';
}

static void go_up(struct trail *trail)
{
    char *slash = strrchr(trail->at, '/');
    if (slash != NULL) {
        slash[slash == trail->at ? 1 : 0] = '\0';
    }
}

/* False: not to be read, or too many. */
static bool follow(struct trail *trail, const char *link)
{
    char target[PATH_MAX];
    ssize_t len = readlink(link, target, sizeof(target) - 1);
    if (len <= 0 || ++trail->links > LINKS_MAX) {
        return false;
    }
    target[len] = '\0';
    if (target[0] == '/') {
        memcpy(trail->at, "/", 2);
    }
    return join(trail->rest, target, trail->rest);
}

static bool begin(struct trail *trail, const char *path)
{
    bool is_absolute = path[0] == '/';
    if (strlen(path) >= sizeof(trail->rest) ||
        (!is_absolute && getcwd(trail->at, sizeof(trail->at)) == NULL)) {
        return false;
    }
    if (is_absolute) {
        memcpy(trail->at, "/", 2);
    }
    memcpy(trail->rest, path, strlen(path) + 1);
    return true;
}

void link_trail(const char *path, void (*on_folder)(void *self, const char *folder, bool has_name),
                void *self)
{
    struct trail trail = {.links = 0};
    char name[PATH_MAX];
    bool goes_on = begin(&trail, path);
    while (goes_on && take_name(&trail, name)) {
        char next[PATH_MAX];
        struct stat facts;
        if (strcmp(name, ".") == 0) {
            continue;
        }
        if (strcmp(name, "..") == 0) {
            go_up(&trail);
            continue;
        }
        goes_on = join(next, trail.at, name);
        bool is_there = goes_on && lstat(next, &facts) == 0;
        bool is_link = is_there && S_ISLNK(facts.st_mode);
        on_folder(self, trail.at, !is_there || is_link || !has_rest(&trail));
        if (is_link) {
            goes_on = follow(&trail, next);
        } else if (is_there) {
            memcpy(trail.at, next, strlen(next) + 1);
        } else {
            goes_on = false;
        }
    }
}
