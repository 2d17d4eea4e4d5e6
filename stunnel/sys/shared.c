/* SPDX-License-Identifier: ISC */
#include "sys/shared.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file that got shorter would make each access beyond its end a SIGBUS. */
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

struct piece {
	struct piece *next;
	void *memory; /* NULL: inherited, and not mapped yet */
	size_t size;
	uint64_t layout;
	int fd; /* -1: it cannot be handed over */
	char name[];
};

static struct piece *first;

static struct piece *append(const char *name, uint64_t layout, size_t size, int fd)
{
	struct piece **at = &first, *p;
	size_t len = strlen(name) + 1;

	p = malloc(sizeof *p + len);
	if (!p)
		return NULL;
	*p = (struct piece){.size = size, .layout = layout, .fd = fd};
	memcpy(p->name, name, len);
	while (*at)
		at = &(*at)->next;
	*at = p;
	return p;
}

static void drop(struct piece **at)
{
	struct piece *p = *at;

	*at = p->next;
	if (p->memory)
		munmap(p->memory, p->size);
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}

/* -1 where the kernel has no such files: then everything works but to hand the memory over. */
static int make_file(size_t size)
{
	int fd = memfd_create("stunnel", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && ftruncate(fd, (off_t)size) == 0 && fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static struct piece *find_left(const char *prefix, uint64_t layout, bool whole)
{
	size_t len = strlen(prefix) + whole;
	struct piece *p = first;

	while (p && (p->memory || p->layout != layout || strncmp(p->name, prefix, len) != 0))
		p = p->next;
	return p;
}

void *shared_map(const char *name, uint64_t layout, size_t size)
{
	struct piece *p = find_left(name, layout, true);

	if (!p || p->size != size)
		p = append(name, layout, size, make_file(size));
	if (!p)
		return NULL;
	p->memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 p->fd >= 0 ? MAP_SHARED : MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE,
			 p->fd, 0);
	if (p->memory != MAP_FAILED)
		return p->memory;
	p->memory = NULL;
	return NULL;
}

void shared_unmap(void *memory)
{
	struct piece **at = &first;

	if (!memory)
		return;
	while ((*at)->memory != memory)
		at = &(*at)->next;
	drop(at);
}

/* FNV-1a. */
uint64_t shared_layout(uint64_t layout, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;

	layout ^= 0xcbf29ce484222325;
	for (size_t i = 0; i < len; i++)
		layout = (layout ^ at[i]) * 0x100000001b3;
	return layout;
}

size_t shared_left(const char *name, uint64_t layout)
{
	const struct piece *p = find_left(name, layout, true);

	return p ? p->size : 0;
}

const char *shared_left_name(const char *prefix, uint64_t layout)
{
	const struct piece *p = find_left(prefix, layout, false);

	return p ? p->name : NULL;
}

/* --- upgrades --------------------------------------------------------------------------------- */

void shared_each(shared_call *call, void *to)
{
	for (const struct piece *p = first; p; p = p->next)
		if (p->memory && p->fd >= 0)
			call(to, p->fd, p->layout, p->name);
}

bool shared_inherit(int fd, uint64_t layout, const char *name)
{
	struct stat found;

	if ((fcntl(fd, F_GET_SEALS) & SEALS) != SEALS || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 ||
	    fstat(fd, &found) != 0)
		return false;
	return append(name, layout, (size_t)found.st_size, fd) != NULL;
}

void shared_settle(void)
{
	struct piece **at = &first;

	while (*at)
		if ((*at)->memory)
			at = &(*at)->next;
		else
			drop(at);
}

void shared_let_go(void)
{
	for (struct piece *p = first; p; p = p->next) {
		if (p->fd >= 0)
			close(p->fd);
		p->fd = -1;
	}
}
