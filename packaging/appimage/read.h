/* Reads of mounted files; see read.c. */
#ifndef TEA_READ_H
#define TEA_READ_H

#include <squashfuse/ll.h>

/* FUSE's read of a file that sqfs_ll_op_open has opened. */
void read_file(fuse_req_t request, fuse_ino_t number, size_t count, off_t offset, struct fuse_file_info *info);

#endif
