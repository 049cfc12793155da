/* The type-2 AppImage runtime: what its parts offer each other. */
#ifndef TEA_RUNTIME_H
#define TEA_RUNTIME_H

#include <limits.h>
#include <sys/types.h>

/* image.c: this file as an AppImage. */

/* Where the ELF part of `path` ends and the payload begins, in bytes; -1 with errno where it is no sound ELF file. */
off_t payload_offset(const char *path);

/* Whether a SquashFS 4.0 superblock stands at `offset` whose numbers can be used: squashfuse divides by some, and shifts by
 * others, without looking. */
int has_sound_superblock(const char *path, off_t offset);

/* Whether a reference to an inode points into a metadata block; squashfuse reads past its end otherwise. */
int is_inside_block(unsigned long long reference);

/* The running AppImage's own path, links resolved. TARGET_APPIMAGE names another. Returns 0, or -1 with errno. */
int find_image(const char *argv0, char path[PATH_MAX]);

/* Texts that tools may have written into this file's sections; empty otherwise. */
const char *update_information(void);
const char *signature(void);

/* extract.c */

/* Unpacks what matches `pattern` (all where it is NULL) below `folder`, which is made; prints names where asked to.
 * Nothing is ever written outside of it. Returns how many entries were unpacked, or -1 with errno. */
long extract_image(const char *image, off_t offset, const char *folder, const char *pattern, int print);

/* Bytes that a full extraction takes; 0 where that can't be told. */
unsigned long long unpacked_bytes(const char *image, off_t offset);

/* Removes a folder and all below it. */
void remove_tree(const char *folder);

/* mount.c */

/* Serves the image at the empty folder `point` from a process of its own, which lives until every copy of the returned
 * descriptor is closed. Returns that descriptor, or -1 where FUSE can't be used here. */
int mount_image(const char *image, off_t offset, const char *point);

#endif
