/* This file as an AppImage: its own path, and where the payload begins. Believes no number it reads. */
#define _GNU_SOURCE
#include "runtime.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_SECTIONS 4096

/* The SquashFS superblock: 96 bytes, little-endian like this machine. */
#define SUPERBLOCK_BYTES 96
#define SQUASHFS_MAGIC 0x73717368u
#define LEAST_BLOCK_LOG 12
#define MOST_BLOCK_LOG 20
#define METADATA_BYTES 8192
#define NO_TABLE UINT64_MAX

/* The sections that the specification names; tools fill them in. */
__attribute__((section(".upd_info"), used)) static const char update_section[1024] = "";
__attribute__((section(".sha256_sig"), used)) static const char signature_section[1024] = "";
__attribute__((section(".sig_key"), used)) static const char key_section[8192] = "";

/* Through a volatile pointer: the compiler must not think it knows what stands there. */
static const char *text_of(const char *section) {
    const char *volatile text = section;
    return text;
}

const char *update_information(void) { return text_of(update_section); }
const char *signature(void) { return text_of(signature_section); }

static int read_at(int file, void *into, size_t count, uint64_t offset) {
    if (offset > INT64_MAX - count) return -1;
    return pread(file, into, count, (off_t)offset) == (ssize_t)count ? 0 : -1;
}

/* The end of whatever lies furthest back, or 0 where something lies outside the file. */
static uint64_t elf_end(int file, uint64_t size) {
    Elf64_Ehdr header;
    if (read_at(file, &header, sizeof header, 0) != 0) return 0;
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_ident[EI_DATA] != ELFDATA2LSB)
        return 0;
    if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shnum > MOST_SECTIONS || header.e_shoff > size) return 0;
    uint64_t end = header.e_shoff + (uint64_t)header.e_shnum * sizeof(Elf64_Shdr);
    for (unsigned index = 0; index < header.e_shnum; index++) {
        Elf64_Shdr section;
        if (read_at(file, &section, sizeof section, header.e_shoff + index * sizeof section) != 0) return 0;
        if (section.sh_type == SHT_NOBITS) continue;
        if (section.sh_offset > size || section.sh_size > size - section.sh_offset) return 0;
        if (section.sh_offset + section.sh_size > end) end = section.sh_offset + section.sh_size;
    }
    return end <= size ? end : 0;
}

off_t payload_offset(const char *path) {
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    uint64_t end = 0;
    if (fstat(file, &status) == 0) end = elf_end(file, (uint64_t)status.st_size);
    close(file);
    if (end == 0) {
        errno = ENOEXEC;
        return -1;
    }
    return (off_t)end;
}

static uint64_t number_at(const unsigned char *from, size_t size) {
    uint64_t number = 0;
    memcpy(&number, from, size);
    return number;
}

int is_inside_block(unsigned long long reference) { return (reference & 0xffff) < METADATA_BYTES; }

static int is_sound(const unsigned char *block, uint64_t room) {
    uint64_t log = number_at(block + 22, 2), used = number_at(block + 40, 8);
    if (number_at(block, 4) != SQUASHFS_MAGIC || number_at(block + 28, 2) != 4 || number_at(block + 30, 2) != 0) return 0;
    if (log < LEAST_BLOCK_LOG || log > MOST_BLOCK_LOG || number_at(block + 12, 4) != UINT64_C(1) << log) return 0;
    if (!is_inside_block(number_at(block + 32, 8))) return 0; /* the root folder */
    if (number_at(block + 4, 4) == 0 || used < SUPERBLOCK_BYTES || used > room) return 0;
    for (size_t place = 48; place < SUPERBLOCK_BYTES; place += 8) { /* ids, xattrs, inodes, directories, fragments, exports */
        uint64_t table = number_at(block + place, 8);
        if (table != NO_TABLE && (table < SUPERBLOCK_BYTES || table >= used)) return 0;
    }
    return 1;
}

int has_sound_superblock(const char *path, off_t offset) {
    struct stat status;
    unsigned char block[SUPERBLOCK_BYTES];
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    int sound = fstat(file, &status) == 0 && offset >= 0 && offset <= status.st_size &&
                read_at(file, block, sizeof block, (uint64_t)offset) == 0 &&
                is_sound(block, (uint64_t)(status.st_size - offset));
    close(file);
    return sound;
}

int find_image(const char *argv0, char path[PATH_MAX]) {
    const char *target = getenv("TARGET_APPIMAGE");
    if (target != NULL && *target != '\0') return realpath(target, path) == NULL ? -1 : 0;
    ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (length > 0) {
        path[length] = '\0';
        if (access(path, R_OK) == 0) return 0;
    }
    if (strchr(argv0, '/') == NULL) {
        errno = ENOENT;
        return -1;
    }
    return realpath(argv0, path) == NULL ? -1 : 0; /* a chroot without /proc */
}
