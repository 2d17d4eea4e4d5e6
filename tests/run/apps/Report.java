// SPDX-License-Identifier: ISC

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** What report.py says, for servers in Java. */
class Report {
    static final byte[] OK = {'o', 'k'};
    private static final List<String> UNREAD =
            Arrays.asList("GET", "HEAD", "OPTIONS", "DELETE", "TRACE", "CONNECT");

    static boolean reads(String method) {
        return !UNREAD.contains(method);
    }

    static int status(String method) {
        return method.equals("CONNECT") ? 405 : 200;
    }

    private static String values(List<Map.Entry<String, String>> fields, String alias) {
        Stream<Map.Entry<String, String>> found = fields.stream().filter(
                f -> f.getKey().toLowerCase().replaceAll("[^a-z0-9]", "").equals(alias));
        return found.map(Map.Entry::getValue).collect(Collectors.joining(", "));
    }

    static synchronized void tell(
            List<Map.Entry<String, String>> fields, String request, long content) {
        String line = String.join("|", "SEEN", "-", "-", values(fields, "xstunnelprobe"),
                values(fields, "xforwardedfor"), content < 0 ? "-" : "" + content, request);
        System.out.println(line.replaceAll("[\r\n]", "?"));
        System.out.flush();
    }
}
