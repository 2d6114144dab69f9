/* config/slot_reference.c: values that name something else · SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "config/memory.h"
#include "config/slot.h"
#include "config/spelling.h"

/* --- references --------------------------------------------------------------------------------
 */

void slot_read_backend(struct reader *reader, const struct slot *slot, const char *text)
{
    const struct config *config = reader->config;
    const char *meant = NULL;
    for (size_t i = 0; i < config->backend_count; i++) {
        const char *name = config->backends[i].name;
        if (name != NULL && strcmp(name, text) == 0) {
            *(size_t *)(void *)slot->out = i;
            if (slot->key->beside != 0) {
                *(bool *)(slot->container + slot->key->beside) = true;
            }
            return;
        }
        if (name != NULL) {
            spelling_consider(text, name, &meant);
        }
    }
    char quoted[SLOT_QUOTE_BYTES];
    problem_add(reader->problems, &slot->place,
                "%s: there is no backend %s; expected a name under 'backends'%s%s%s",
                slot->key->name, slot_quote(text, quoted), meant != NULL ? "; did you mean '" : "",
                meant != NULL ? meant : "", meant != NULL ? "'?" : "");
}

static size_t count_certificates(const struct config *config, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < config->certificate_count; i++) {
        const char *own = config->certificates[i].name;
        count += own != NULL && strcmp(own, name) == 0 ? 1 : 0;
    }
    return count;
}

static void complain_of_certificate(struct reader *reader, const struct slot *slot,
                                    const char *name)
{
    const struct config *config = reader->config;
    const char *meant = NULL;
    for (size_t i = 0; i < config->certificate_count; i++) {
        if (config->certificates[i].name != NULL) {
            spelling_consider(name, config->certificates[i].name, &meant);
        }
    }
    char quoted[SLOT_QUOTE_BYTES];
    problem_add(reader->problems, &slot->place,
                "%s: there is no certificate %s; expected a name under 'certificates'%s%s%s",
                slot->key->name, slot_quote(name, quoted), meant != NULL ? "; did you mean '" : "",
                meant != NULL ? meant : "", meant != NULL ? "'?" : "");
}

/* Appends the indexes of all entries of that name; `indexes` has room for every certificate. */
static void append_certificates(const struct config *config, const char *name, size_t *indexes,
                                size_t *count)
{
    for (size_t i = 0; i < config->certificate_count; i++) {
        const char *own = config->certificates[i].name;
        bool known = own == NULL || strcmp(own, name) != 0;
        for (size_t k = 0; k < *count && !known; k++) {
            known = indexes[k] == i;
        }
        if (!known) {
            indexes[(*count)++] = i;
        }
    }
}

void slot_read_certificates(struct reader *reader, const struct slot *slot,
                            const struct yaml_node *const *items, size_t item_count)
{
    const struct config *config = reader->config;
    size_t *indexes =
        memory_take_array(reader->memory, config->certificate_count, sizeof(*indexes));
    size_t count = 0;
    for (size_t i = 0; i < item_count && indexes != NULL; i++) {
        struct slot item = *slot;
        item.place = items[i]->place;
        if (items[i]->kind != YAML_SCALAR) {
            slot_complain_of_kind(reader, &item, items[i]);
            continue;
        }
        if (count_certificates(config, items[i]->text) == 0) {
            complain_of_certificate(reader, &item, items[i]->text);
            continue;
        }
        append_certificates(config, items[i]->text, indexes, &count);
    }
    *(size_t **)(void *)slot->out = indexes;
    *(size_t *)(void *)(slot->container + slot->key->beside) = count;
}

/* --- ciphers -----------------------------------------------------------------------------------
 */

void slot_read_ciphers(struct reader *reader, const struct slot *slot,
                       const struct yaml_node *const *items, size_t count)
{
    struct config_enforcement *enforcement = (struct config_enforcement *)(void *)slot->container;
    const char **names = memory_take_array(reader->memory, count, sizeof(*names));
    size_t name_count = 0;
    for (size_t i = 0; i < count && names != NULL; i++) {
        struct slot item = *slot;
        item.place = items[i]->place;
        if (items[i]->kind != YAML_SCALAR) {
            slot_complain_of_kind(reader, &item, items[i]);
            continue;
        }
        const struct schema_choice *choice = slot_read_choice(reader, &item, items[i]->text);
        if (choice == NULL) {
            continue;
        }
        enforcement->cipher_policy = (enum config_cipher_policy)choice->value;
        if (choice->value != CONFIG_CIPHERS_LIST && count > 1) {
            slot_complain(reader, &item, choice->word, "is a whole set and must stand alone");
            continue;
        }
        if (choice->value == CONFIG_CIPHERS_LIST) {
            names[name_count++] = choice->word;
        }
    }
    enforcement->cipher_names = names;
    enforcement->cipher_name_count = name_count;
}
