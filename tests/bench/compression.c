/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What zstd makes of messages, block by block as the store keeps them: for each level the ratio
 * and the speed, without and with a dictionary that is trained on every second message and
 * tried on the others.
 *
 *     bench-compression FOLDER-OF-MESSAGES [DICTIONARY-BYTES]
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zdict.h>
#include <zstd.h>

#include "node/base/buffer.h"
#include "node/base/check.h"
#include "storage/schema/flags.h"

enum { LEVEL_MAX = 6, FILES_MAX = 20000, ROUND_MS = 700 };

struct corpus {
    struct buffer text; /* all messages, one behind the other */
    size_t sizes[FILES_MAX];
    unsigned count;
};

/* Of this process: what else the machine does is not counted. */
static double now_s(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void file_add(struct corpus *corpus, const char *path)
{
    FILE *file = fopen(path, "rb");
    size_t before = buffer_len(&corpus->text);
    size_t got;

    CHECK(file != NULL && corpus->count < FILES_MAX);
    do {
        got = fread(buffer_reserve(&corpus->text, BODY_BLOCK_SIZE), 1, BODY_BLOCK_SIZE, file);
        buffer_added(&corpus->text, got);
    } while (got > 0);
    fclose(file);
    corpus->sizes[corpus->count++] = buffer_len(&corpus->text) - before;
}

/* Messages take turns between the two, in the order of their names. */
static void folder_read(const char *folder, struct corpus *train, struct corpus *test)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    unsigned number = 0;

    CHECK(count > 0);
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            file_add(number++ % 2 == 0 ? train : test, path);
        free(entries[i]);
    }
    free(entries);
}

struct codec {
    ZSTD_CCtx *compress;
    ZSTD_DCtx *expand;
    ZSTD_CDict *compress_dictionary; /* NULL: none */
    ZSTD_DDict *expand_dictionary;
    int level;
};

static size_t block_compress(const struct codec *codec, struct bytes plain, uint8_t *frame,
                             size_t room)
{
    size_t len = codec->compress_dictionary != NULL
                     ? ZSTD_compress_usingCDict(codec->compress, frame, room, plain.at,
                                                plain.len, codec->compress_dictionary)
                     : ZSTD_compressCCtx(codec->compress, frame, room, plain.at, plain.len,
                                         codec->level);

    CHECK(!ZSTD_isError(len));
    return len;
}

static void block_expand(const struct codec *codec, struct bytes frame, uint8_t *plain,
                         size_t room)
{
    size_t len = codec->expand_dictionary != NULL
                     ? ZSTD_decompress_usingDDict(codec->expand, plain, room, frame.at,
                                                  frame.len, codec->expand_dictionary)
                     : ZSTD_decompressDCtx(codec->expand, plain, room, frame.at, frame.len);

    CHECK(len == room);
}

/* All messages once. Returns the bytes of their frames; adds up the times. */
static size_t corpus_run(const struct codec *codec, const struct corpus *corpus,
                         double *compress_s, double *expand_s)
{
    static uint8_t frame[BODY_FRAME_SIZE_MAX];
    static uint8_t plain[BODY_BLOCK_SIZE];
    struct bytes text = buffer_bytes(&corpus->text);
    size_t total = 0;

    for (unsigned i = 0; i < corpus->count; i++) {
        struct bytes message = {text.at, corpus->sizes[i]};
        text = bytes_skip(text, corpus->sizes[i]);
        while (message.len > 0) {
            size_t cut = message.len < BODY_BLOCK_SIZE ? message.len : BODY_BLOCK_SIZE;
            double start = now_s();
            size_t len =
                block_compress(codec, bytes_from(message.at, cut), frame, sizeof(frame));
            double middle = now_s();
            block_expand(codec, bytes_from(frame, len), plain, cut);
            *compress_s += middle - start;
            *expand_s += now_s() - middle;
            total += len;
            message = bytes_skip(message, cut);
        }
    }
    return total;
}

static void level_run(const struct corpus *corpus, int level, struct bytes dictionary)
{
    struct codec codec = {
        .compress = ZSTD_createCCtx(),
        .expand = ZSTD_createDCtx(),
        .level = level,
    };
    double compress_s = 0;
    double expand_s = 0;
    size_t packed = 0;
    unsigned rounds = 0;

    if (dictionary.len > 0) {
        codec.compress_dictionary = ZSTD_createCDict(dictionary.at, dictionary.len, level);
        codec.expand_dictionary = ZSTD_createDDict(dictionary.at, dictionary.len);
    }
    for (double end = now_s() + ROUND_MS / 1000.0; rounds == 0 || now_s() < end; rounds++)
        packed = corpus_run(&codec, corpus, &compress_s, &expand_s);
    double megabytes = (double)buffer_len(&corpus->text) * rounds / 1e6;
    printf("{\"level\": %d, \"dictionary\": %zu, \"messages\": %u, \"mean_bytes\": %zu, "
           "\"ratio\": %.3f, \"compress_mb_s\": %.0f, \"expand_mb_s\": %.0f}\n",
           level, dictionary.len, corpus->count, buffer_len(&corpus->text) / corpus->count,
           (double)buffer_len(&corpus->text) / (double)packed, megabytes / compress_s,
           megabytes / expand_s);
    ZSTD_freeCDict(codec.compress_dictionary);
    ZSTD_freeDDict(codec.expand_dictionary);
    ZSTD_freeCCtx(codec.compress);
    ZSTD_freeDCtx(codec.expand);
}

int main(int argc, char **argv)
{
    static struct corpus train;
    static struct corpus test;
    uint64_t dictionary_size = 0;
    uint8_t *dictionary;
    size_t len = 0;

    if (argc < 2 || argc > 3 ||
        (argc == 3 && !bytes_to_u64(bytes_of(argv[2]), &dictionary_size))) {
        fprintf(stderr, "usage: bench-compression FOLDER-OF-MESSAGES [DICTIONARY-BYTES]\n");
        return 2;
    }
    folder_read(argv[1], &train, &test);
    for (int level = 1; level <= LEVEL_MAX; level++)
        level_run(&test, level, bytes_from(NULL, 0));
    if (dictionary_size > 0) {
        dictionary = malloc(dictionary_size);
        CHECK(dictionary != NULL);
        len = ZDICT_trainFromBuffer(dictionary, dictionary_size, buffer_bytes(&train.text).at,
                                    train.sizes, train.count);
        CHECK(!ZDICT_isError(len));
        for (int level = 1; level <= LEVEL_MAX; level++)
            level_run(&test, level, bytes_from(dictionary, len));
        free(dictionary);
    }
    buffer_fini(&train.text);
    buffer_fini(&test.text);
    return 0;
}
