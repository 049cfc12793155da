/* Answers reads of mounted files.
 *
 * What stands as it is in the image (a model) goes from the image's file to the kernel without a copy here. What is
 * compressed is unpacked once and kept a while: programs are paged in by pieces much smaller than a block, and a block that
 * is unpacked anew for each would be most of the work of starting one. One thread; knows nothing of mounting.
 */
#define _GNU_SOURCE
#define FUSE_USE_VERSION 32

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <squashfuse/ll.h>

#include "read.h"

#define CACHE_BYTES ((size_t)12 << 20)
#define MOST_BLOCKS 128
#define RAW_FILES 8
#define LEAST_RAW ((uint64_t)1 << 20)

/* A block of a file, unpacked. */
struct block {
    fuse_ino_t number;
    uint64_t index;
    unsigned long used;
    size_t size;
    char *data;
};

/* How many bytes of a file stand in one piece and uncompressed, and where in the image. */
struct raw {
    fuse_ino_t number;
    uint64_t start, size;
};

static struct block blocks[MOST_BLOCKS];
static unsigned long clock_now;
static struct raw raws[RAW_FILES];
static unsigned next_raw;

/* Bytes from the beginning of the file on whose blocks follow each other as they are; 0 where one doesn't. */
static uint64_t raw_bytes(sqfs *fs, sqfs_inode *inode, uint64_t *start) {
    struct stat status;
    sqfs_blocklist list;
    uint64_t total = 0;
    if (inode->xtra.reg.file_size < LEAST_RAW || fstat(fs->fd, &status) != 0) return 0;
    sqfs_blocklist_init(fs, inode, &list);
    *start = fs->offset + list.block;
    while (list.remain > 0) {
        bool compressed;
        uint32_t size;
        if (sqfs_blocklist_next(&list) != SQFS_OK) return 0;
        sqfs_data_header(list.header, &compressed, &size);
        if (compressed || size == 0 || (size != fs->sb.block_size && list.remain > 0)) return 0;
        total += size;
    }
    if (total > inode->xtra.reg.file_size || *start > (uint64_t)status.st_size) return 0;
    return total <= (uint64_t)status.st_size - *start ? total : 0;
}

static const struct raw *raw_of(sqfs *fs, sqfs_inode *inode, fuse_ino_t number) {
    for (unsigned place = 0; place < RAW_FILES; place++) {
        if (raws[place].number == number) return &raws[place];
    }
    struct raw *found = &raws[next_raw++ % RAW_FILES];
    found->number = number;
    found->size = raw_bytes(fs, inode, &found->start);
    return found;
}

static struct block *block_of(sqfs *fs, sqfs_inode *inode, fuse_ino_t number, uint64_t index) {
    size_t block_size = fs->sb.block_size, most = CACHE_BYTES / block_size;
    if (most > MOST_BLOCKS) most = MOST_BLOCKS;
    struct block *oldest = &blocks[0];
    for (size_t place = 0; place < most; place++) {
        struct block *block = &blocks[place];
        if (block->data != NULL && block->number == number && block->index == index) {
            block->used = ++clock_now;
            return block;
        }
        if (block->used < oldest->used) oldest = block;
    }
    if (oldest->data == NULL && (oldest->data = malloc(block_size)) == NULL) return NULL;
    sqfs_off_t count = (sqfs_off_t)block_size;
    oldest->used = 0; /* of nobody, if this fails */
    oldest->number = 0;
    if (sqfs_read_range(fs, inode, (sqfs_off_t)(index * block_size), &count, oldest->data) != SQFS_OK) return NULL;
    *oldest = (struct block){number, index, ++clock_now, (size_t)(count > 0 ? count : 0), oldest->data};
    return oldest;
}

/* Copies what lies in blocks, one after the other; returns how much, or -1. */
static ssize_t gather(sqfs *fs, sqfs_inode *inode, fuse_ino_t number, uint64_t offset, size_t count, char *into) {
    size_t done = 0, block_size = fs->sb.block_size;
    while (done < count) {
        struct block *block = block_of(fs, inode, number, (offset + done) / block_size);
        size_t skip = (offset + done) % block_size;
        if (block == NULL) return -1;
        if (skip >= block->size) break;
        size_t part = block->size - skip < count - done ? block->size - skip : count - done;
        memcpy(into + done, block->data + skip, part);
        done += part;
    }
    return (ssize_t)done;
}

void read_file(fuse_req_t request, fuse_ino_t number, size_t count, off_t offset, struct fuse_file_info *info) {
    sqfs *fs = &((sqfs_ll *)fuse_req_userdata(request))->fs;
    sqfs_inode *inode = (sqfs_inode *)(intptr_t)info->fh;
    uint64_t size = inode->xtra.reg.file_size;
    if (offset < 0 || (uint64_t)offset >= size) {
        fuse_reply_buf(request, NULL, 0);
        return;
    }
    if (count > size - (uint64_t)offset) count = (size_t)(size - (uint64_t)offset);
    const struct raw *raw = raw_of(fs, inode, number);
    if ((uint64_t)offset < raw->size && count <= raw->size - (uint64_t)offset) {
        struct fuse_bufvec piece = FUSE_BUFVEC_INIT(count);
        piece.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
        piece.buf[0].fd = fs->fd;
        piece.buf[0].pos = (off_t)(raw->start + (uint64_t)offset);
        fuse_reply_data(request, &piece, FUSE_BUF_SPLICE_MOVE);
        return;
    }
    char *buffer = malloc(count);
    ssize_t done = buffer == NULL ? -1 : gather(fs, inode, number, (uint64_t)offset, count, buffer);
    if (done < 0)
        fuse_reply_err(request, EIO);
    else
        fuse_reply_buf(request, buffer, (size_t)done);
    free(buffer);
}
