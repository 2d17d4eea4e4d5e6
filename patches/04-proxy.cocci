// SPDX-License-Identifier: ISC
// title: PROXY headers of version 2, with TLVs
//
// protocol = proxy sends stunnel's own line, unless the section has a proxyVersion or takes PROXY
// headers itself, with acceptProxy, before TLS begins.

// hook: proxy
// file: src/protocol.c
// makes: 1 FORWARD_PROXY(
// wants: the call of proxy_server() in protocol()
// releases: 5.02 to 5.69
@called@
expression link, section, moment;
@@
- proxy_server(link, section, moment)
+ (forward_has_proxy(section) ? FORWARD_PROXY(link, moment) : proxy_server(link, section, moment))

@depends on called@
@@
 #include "prototypes.h"
+#include "forward.h"

// hook: proxy
// file: src/client.c
// makes: 1 FORWARD_PROXY_LAST(
// wants: the condition under which the backend is connected after TLS, and the call of transfer()
// releases: 4.45 to 5.01
@@
typedef CLI, SERVICE_OPTIONS;
identifier serve, link;
@@
 serve(CLI *link)
 {
+    const SERVICE_OPTIONS *forward_section=link->opt;
+
     ...
     if(
        <+...
(
-       link->opt->protocol < 0
+       FORWARD_TLS_FIRST(link, link->opt->protocol < 0)
|
-       !link->opt->servername_list_head
+       FORWARD_TLS_FIRST(link, !link->opt->servername_list_head)
)
        ...+>
     ) { ... } else { ... }
     ...
+    FORWARD_PROXY_LAST(link, forward_section);
     forward_begin(link);
     transfer(link);
 }

// hook: proxy
// file: src/client.c
// makes: 1 FORWARD_LATE(
// wants: the call of the section's protocol_late()
// releases: 5.70 and later
@@
expression link;
@@
- link->opt->protocol_late(link)
+ FORWARD_LATE(link)

// hook: accept
// file: src/client.c
// makes: 1 FORWARD_ACCEPT(
// wants: SSL_accept()
@@
expression link;
@@
- SSL_accept(link->ssl)
+ FORWARD_ACCEPT(link)
