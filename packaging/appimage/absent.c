/* Decompressors that Debian's squashfuse is built with and our images, which are zstd, don't need.
 *
 * LZO's library is GPL, LZ4's and LZMA's would only make this program bigger. Each says that it failed, and squashfuse
 * reports that as a file that can't be read.
 */
#include <stddef.h>
#include <stdint.h>

#define LZO_E_ERROR (-1)
#define LZ4_FAILED (-1)
#define LZMA_OPTIONS_ERROR 8

int lzo1x_decompress_safe(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t *out_bytes, void *memory);
int LZ4_decompress_safe(const char *in, char *out, int in_bytes, int room);
int lzma_stream_buffer_decode(uint64_t *limit, uint32_t flags, const void *allocator, const uint8_t *in,
                              size_t *in_position, size_t in_bytes, uint8_t *out, size_t *out_position, size_t room);

int lzo1x_decompress_safe(const uint8_t *in, size_t in_bytes, uint8_t *out, size_t *out_bytes, void *memory) {
    (void)in, (void)in_bytes, (void)out, (void)out_bytes, (void)memory;
    return LZO_E_ERROR;
}

int LZ4_decompress_safe(const char *in, char *out, int in_bytes, int room) {
    (void)in, (void)out, (void)in_bytes, (void)room;
    return LZ4_FAILED;
}

int lzma_stream_buffer_decode(uint64_t *limit, uint32_t flags, const void *allocator, const uint8_t *in,
                              size_t *in_position, size_t in_bytes, uint8_t *out, size_t *out_position, size_t room) {
    (void)limit, (void)flags, (void)allocator, (void)in, (void)in_position, (void)in_bytes;
    (void)out, (void)out_position, (void)room;
    return LZMA_OPTIONS_ERROR;
}
