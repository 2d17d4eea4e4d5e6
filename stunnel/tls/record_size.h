/* SPDX-License-Identifier: ISC */
#ifndef TLS_RECORD_SIZE_H
#define TLS_RECORD_SIZE_H

#include <stddef.h>
#include <stdint.h>

#define TLS_RECORD_MAX 16384 /* bytes of content (RFC 8446 5.1) */

/*
 * How much a record takes of what is written. A peer can use nothing of a record before its last
 * byte has come, and behind a pause TCP sends ten segments and waits a round trip for their ACK
 * (RFC 6928, RFC 5681 4.1): of a record at its largest the end would come behind that wait. So the
 * first records fill one segment, three and six, and later ones, when there is more in flight, are
 * whole: each record costs a write(2) and some 25 bytes.
 *
 * Zeroed: nothing was written yet.
 */
struct tls_record_size {
	uint32_t sent;	  /* bytes since the last pause; no more are counted than matter */
	uint32_t last_ms; /* when anything was written last */
};

/*
 * Returns how many of len > 0 bytes the next record takes, and counts them as written:
 * TLS_RECORD_MAX at most, and all of them if one segment holds them. now_ms is of a clock that
 * nobody sets, and may overflow.
 */
size_t tls_record_size(struct tls_record_size *r, size_t len, uint32_t now_ms);

#endif
