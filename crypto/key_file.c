/* crypto/key_file.c · SPDX-License-Identifier: Apache-2.0 */
#include "crypto/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/error.h"

enum { PATH_MAX_BYTES = 4096 };

/* ---- reading ---- */

static bool read_all(int descriptor, uint8_t *at, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t got = read(descriptor, at + done, len - done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        done += (size_t)got;
    }
    return true;
}

static uint8_t *read_descriptor(int descriptor, size_t limit, size_t *len,
                                struct crypto_error *error)
{
    struct stat facts;
    if (fstat(descriptor, &facts) != 0 || !S_ISREG(facts.st_mode)) {
        crypto_error_set(error, "no regular file");
        errno = EINVAL;
        return NULL;
    }
    if ((size_t)facts.st_size > limit) {
        crypto_error_set(error, "larger than %zu bytes", limit);
        errno = EFBIG;
        return NULL;
    }
    uint8_t *bytes = calloc(1, (size_t)facts.st_size + 1);
    if (bytes == NULL) {
        crypto_error_set(error, "out of memory");
        return NULL;
    }
    if (!read_all(descriptor, bytes, (size_t)facts.st_size)) {
        crypto_error_set(error, "cannot be read");
        key_file_forget(bytes, (size_t)facts.st_size);
        errno = EIO;
        return NULL;
    }
    *len = (size_t)facts.st_size;
    return bytes;
}

uint8_t *key_file_read(const char *path, size_t limit, size_t *len, struct crypto_error *error)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        int problem = errno;
        crypto_error_set(error, "cannot be opened: %s", strerror(problem));
        errno = problem;
        return NULL;
    }
    uint8_t *bytes = read_descriptor(descriptor, limit, len, error);
    int problem = errno;
    (void)close(descriptor);
    errno = problem;
    return bytes;
}

void key_file_forget(uint8_t *bytes, size_t len)
{
    if (bytes != NULL) {
        OPENSSL_cleanse(bytes, len);
        free(bytes);
    }
}

/* ---- writing ---- */

static bool write_all(int descriptor, const uint8_t *at, size_t len)
{
    size_t done = 0;
    while (done < len) {
        ssize_t put = write(descriptor, at + done, len - done);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return false;
        }
        done += (size_t)put;
    }
    return fsync(descriptor) == 0;
}

static bool write_beside(const char *beside, const void *bytes, size_t len, mode_t mode)
{
    (void)unlink(beside);
    int descriptor = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (descriptor < 0) {
        return false;
    }
    /* The mask may have taken bits that others need to read a certificate. */
    bool is_written = fchmod(descriptor, mode) == 0 && write_all(descriptor, bytes, len);
    int problem = errno;
    is_written = close(descriptor) == 0 && is_written;
    errno = problem;
    return is_written;
}

bool key_file_write(const char *path, const void *bytes, size_t len, mode_t mode,
                    struct crypto_error *error)
{
    char beside[PATH_MAX_BYTES];
    int beside_len = snprintf(beside, sizeof(beside), "%s.%ld.new", path, (long)getpid());
    if (beside_len < 0 || (size_t)beside_len >= sizeof(beside)) {
        crypto_error_set(error, "the path %.100s... is too long", path);
        return false;
    }
    if (!write_beside(beside, bytes, len, mode) || rename(beside, path) != 0) {
        crypto_error_set(error, "%.200s cannot be written: %s", path, strerror(errno));
        (void)unlink(beside);
        return false;
    }
    return true;
}

static bool write_bio(const char *path, BIO *bio, mode_t mode, struct crypto_error *error)
{
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);
    return key_file_write(path, text, (size_t)len, mode, error);
}

bool key_file_write_key(const char *path, EVP_PKEY *key, struct crypto_error *error)
{
    /* This kind of BIO wipes what it held. */
    BIO *bio = BIO_new(BIO_s_secmem());
    bool is_written = false;
    if (bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1) {
        is_written = write_bio(path, bio, 0600, error);
    } else {
        crypto_error_set_openssl(error, "the key cannot be written");
    }
    BIO_free(bio);
    return is_written;
}

bool key_file_write_certificates(const char *path, X509 *const *certificates, size_t count,
                                 struct crypto_error *error)
{
    BIO *bio = BIO_new(BIO_s_mem());
    bool is_pem = bio != NULL;
    for (size_t i = 0; is_pem && i < count; i++) {
        is_pem = PEM_write_bio_X509(bio, certificates[i]) == 1;
    }
    bool is_written = false;
    if (is_pem) {
        is_written = write_bio(path, bio, 0644, error);
    } else {
        crypto_error_set_openssl(error, "the certificate cannot be written");
    }
    BIO_free(bio);
    return is_written;
}
