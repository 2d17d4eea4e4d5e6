// SPDX-License-Identifier: ISC

import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executors;

/** The JDK's own server. */
class Jdk {
    public static void main(String[] args) throws Exception {
        InetSocketAddress address = new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0]));
        HttpServer server = HttpServer.create(address, 0);
        server.createContext("/", exchange -> {
            List<Map.Entry<String, String>> fields = new ArrayList<>();
            exchange.getRequestHeaders().forEach(
                    (name, values) -> values.forEach(v -> fields.add(Map.entry(name, v))));
            String method = exchange.getRequestMethod();
            long content = -1;
            try {
                if (Report.reads(method)) content = exchange.getRequestBody().readAllBytes().length;
            } finally {
                Report.tell(fields, method + " " + exchange.getRequestURI(), content);
            }
            boolean head = method.equals("HEAD");
            exchange.sendResponseHeaders(Report.status(method), head ? -1 : 2);
            if (!head) exchange.getResponseBody().write(Report.OK);
            exchange.close();
        });
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.start();
    }
}
