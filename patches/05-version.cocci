// SPDX-License-Identifier: ISC
// title: stunnel -version tells of forwarding
//
// What a bug report should show.

// hook: version include
// file: src/stunnel.c
// makes: 1 #include "forward.h"
// wants: #include "prototypes.h"
@@
@@
 #include "prototypes.h"
+#include "forward.h"

// hook: version
// file: src/stunnel.c
// makes: 1 forward_info(
// wants: the line of features in stunnel_info()
// releases: 5.58 and later
@@
identifier severity;
expression line;
@@
 stunnel_info(int severity)
 {
     ...
     s_log(severity, "%s", line);
+    forward_info(severity);
     ...
 }

// hook: version
// file: src/stunnel.c
// makes: 1 forward_info(
// wants: stunnel_info(), which has no line of features of its own
// releases: 4.46 to 5.57
@@
identifier severity;
@@
 stunnel_info(int severity)
 {
     ...
+    forward_info(severity);
 }
