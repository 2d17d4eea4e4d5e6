// SPDX-License-Identifier: ISC
// title: The client's address in every HTTP request
//
// transfer() reads requests and responses through the HTTP machine. Where stock has one for TCP and one
// for UDP, it is transfer_tcp().

// hook: begin
// file: src/client.c
// makes: 1 forward_begin(
// wants: the call of transfer()
@@
identifier relay =~ "^transfer(_tcp)?$";
expression link;
@@
+forward_begin(link);
 relay(link);

// hook: end
// file: src/client.c
// makes: 1+ forward_end(
// wants: s_poll_free() of the connection's descriptors
//
// 5.01 to 5.44 have it twice: where a connection is over, and where another follows in its thread.
@@
expression link;
@@
 s_poll_free(link->fds);
+forward_end(link);

// hook: close
// file: src/client.c
// makes: 1 forward_close(
// wants: the condition under which the backend's descriptor is closed
// releases: 5.15 and later
@@
expression link;
statement closing;
@@
+forward_close(link);
 if(link->remote_fd.fd != INVALID_SOCKET) closing

// hook: close
// file: src/client.c
// makes: 1 forward_close(
// wants: the condition under which the backend's descriptor is closed
// releases: 4.36 to 5.14
@@
expression link;
statement closing;
@@
+forward_close(link);
 if(link->remote_fd.fd >= 0) closing

// hook: watchdog
// file: src/client.c
// makes: 1 FORWARD_IDLE_TURNS(
// wants: the count of idle turns in transfer()
@@
typedef CLI;
identifier relay =~ "^transfer(_tcp)?$";
identifier link, turns;
expression most;
@@
 relay(CLI *link)
 {
     <...
-    ++turns > most
+    FORWARD_IDLE_TURNS(link, turns) > most
     ...>
 }

// hook: poll
// file: src/client.c
// makes: 1 FORWARD_POLL(
// wants: s_poll_wait() of the connection's descriptors in transfer()
@@
typedef CLI;
identifier relay =~ "^transfer(_tcp)?$";
identifier link;
expression most, more;
@@
 relay(CLI *link)
 {
     <...
-    s_poll_wait(link->fds, most, more)
+    FORWARD_POLL(link, most, more)
     ...>
 }

// hook: nothing ready
// file: src/client.c
// makes: 1 FORWARD_NOTHING_READY(
// wants: the condition under which transfer() doubts a poll, as no descriptor is ready
// releases: 4.36 and later
// unless: TRUSTS_POLL
//
// To 5.30 that is an error of its own. Later ones look for hangups then: in the turn that follows.
@@
typedef CLI;
identifier link, plain_in, plain_out, tls_in, tls_out;
@@
 transfer(CLI *link)
 {
     <...
-    !(plain_in || plain_out || tls_in || tls_out)
+    FORWARD_NOTHING_READY(link, !(plain_in || plain_out || tls_in || tls_out))
     ...>
 }

// hook: read
// file: src/client.c
// makes: 1 FORWARD_READ(
// wants: SSL_read() in transfer()
@@
typedef CLI;
identifier relay =~ "^transfer(_tcp)?$";
identifier link;
expression p, n;
@@
 relay(CLI *link)
 {
     <...
-    SSL_read(link->ssl, p, n)
+    FORWARD_READ(link, p, n)
     ...>
 }

// hook: pending
// file: src/client.c
// makes: 1+ FORWARD_PENDING(
// wants: SSL_pending() in transfer()
@@
typedef CLI;
identifier relay =~ "^transfer(_tcp)?$";
identifier link;
@@
 relay(CLI *link)
 {
     <...
-    SSL_pending(link->ssl)
+    FORWARD_PENDING(link)
     ...>
 }

// hook: received shutdown
// file: src/client.c
// makes: 2+ FORWARD_GET_SHUTDOWN(
// wants: SSL_get_shutdown() in transfer()
// releases: 4.47 and later
@@
typedef CLI;
identifier relay =~ "^transfer(_tcp)?$";
identifier link;
@@
 relay(CLI *link)
 {
     <...
(
     // Whether to poll: a descriptor that is dead would wake the loop for nothing.
     SSL_get_shutdown(link->ssl) != (SSL_SENT_SHUTDOWN|SSL_RECEIVED_SHUTDOWN)
|
-    SSL_get_shutdown(link->ssl)
+    FORWARD_GET_SHUTDOWN(link)
)
     ...>
 }

// hook: received shutdown
// file: src/client.c
// makes: 5 FORWARD_IS_OPEN(
// wants: the variable of transfer() that says whether the client's side is open
// releases: 4.36 to 4.46
@client@
typedef CLI;
identifier relay =~ "^transfer(_tcp)?$";
identifier link, open, door;
@@
 relay(CLI *link)
 {
     <+...
-    door && !open && !link->ssl_ptr
+    door && !FORWARD_IS_OPEN(link, open) && !link->ssl_ptr
     ...+>
 }

// Neither where it is set nor where a dump of the loop's state tells of it.
@@
typedef CLI;
identifier relay =~ "^transfer(_tcp)?$";
identifier link, client.open, other;
@@
 relay(CLI *link)
 {
     <...
(
-    open && link->ssl_ptr < BUFFSIZE
+    FORWARD_IS_OPEN(link, open) && link->ssl_ptr < BUFFSIZE
|
-    other && open
+    other && FORWARD_IS_OPEN(link, open)
)
     ...>
 }

// hook: wants input
// file: src/client.c
// makes: 1+ FORWARD_WANTS_INPUT(
// wants: the comparison of ssl_ptr with BUFFSIZE in transfer()
@@
typedef CLI;
identifier relay =~ "^transfer(_tcp)?$";
identifier link;
@@
 relay(CLI *link)
 {
     <...
-    link->ssl_ptr < BUFFSIZE
+    FORWARD_WANTS_INPUT(link, link->ssl_ptr < BUFFSIZE)
     ...>
 }

// hook: readsocket
// file: src/client.c
// makes: 1 FORWARD_READSOCKET(
// wants: readsocket() in transfer()
@@
typedef CLI;
identifier relay =~ "^transfer(_tcp)?$";
identifier link;
expression fd, p, n;
@@
 relay(CLI *link)
 {
     <...
-    readsocket(fd, p, n)
+    FORWARD_READSOCKET(link, fd, p, n)
     ...>
 }

// hook: writesocket
// file: src/client.c
// makes: 1 FORWARD_WRITESOCKET(
// wants: writesocket() in transfer()
@@
typedef CLI;
identifier relay =~ "^transfer(_tcp)?$";
identifier link;
expression fd, p, n;
@@
 relay(CLI *link)
 {
     <...
-    writesocket(fd, p, n)
+    FORWARD_WRITESOCKET(link, fd, p, n)
     ...>
 }

// hook: send shutdown
// file: src/client.c
// makes: 1 FORWARD_SHUTDOWN(
// wants: SSL_shutdown(), in transfer() or in a function of its own
@@
expression link;
@@
- SSL_shutdown(link->ssl)
+ FORWARD_SHUTDOWN(link)
