/* SPDX-License-Identifier: ISC */
#ifndef IP_H
#define IP_H

#include <stdbool.h>
#include <stdint.h>

#include "facts.h"
#include "span.h"

/* IP addresses and ports as text, read strictly: the whole span, and one spelling alone. */

/* Up to five decimal digits without leading zeros, at most max. */
bool ip_parse_number(struct span s, unsigned max, unsigned *n);

/* Four numbers and dots, into 4 bytes of network order, which are unspecified on failure. */
bool ip_parse_v4(struct span s, uint8_t *ip);

/* RFC 4291 2.2: groups, at most one `::`, a dotted tail at most; into 16 bytes. */
bool ip_parse_v6(struct span s, uint8_t *ip);

/* ::ffff:0:0/96, RFC 4291 2.5.5.2: the first 12 bytes of an IPv6 address that is an IPv4 one. */
extern const struct span ip_mapped_prefix;

/*
 * Fills the text of an address whose bytes and family are set, in the form of RFC 5952; one that is
 * mapped (RFC 4291 2.5.5.2) becomes IPv4. Without a family nothing is done.
 */
void ip_facts(struct facts_addr *addr);

/* A block of addresses in facts' form: IPv4-mapped IPv6 blocks are IPv4 ones. */
struct ip_block {
	uint8_t family; /* enum facts_family */
	uint8_t bits;
	uint8_t ip[16];
};

/* ADDRESS or ADDRESS/BITS; false for anything else, and if bits behind BITS are set. */
bool ip_block_parse(struct span text, struct ip_block *block);

bool ip_block_holds(const struct ip_block *block, const struct facts_addr *addr);

#define IP_BLOCKS_MAX 512

/* A list of blocks. Holds no pointer, so a plain copy is an independent one. Zeroed: empty. */
struct ip_blocks {
	unsigned count;
	struct ip_block block[IP_BLOCKS_MAX];
};

bool ip_blocks_hold(const struct ip_blocks *blocks, const struct facts_addr *addr);

/*
 * Takes the next block from the front of a list that commas and white space divide: 1, 0 at its
 * end, or -1 with the text that is no block in *text.
 */
int ip_block_next(struct span *list, struct span *text, struct ip_block *block);

#endif
