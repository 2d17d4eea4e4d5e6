// SPDX-License-Identifier: ISC
import java.io.FileInputStream;
import java.io.IOException;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/** PORT CA STORE...: for each PKCS#12 store (password "secret"; "none": no certificate) a line, "in"
 * if the server answered, else "out". */
class MutualClient {
    static KeyStore trust(String path) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (FileInputStream in = new FileInputStream(path)) {
            store.setCertificateEntry(
                    "ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        return store;
    }

    static KeyManager[] keys(String path) throws Exception {
        if (path.equals("none")) return null;
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (FileInputStream in = new FileInputStream(path)) {
            store.load(in, "secret".toCharArray());
        }
        KeyManagerFactory factory = KeyManagerFactory.getInstance("SunX509");
        factory.init(store, "secret".toCharArray());
        return factory.getKeyManagers();
    }

    static String get(SSLContext context, int port) {
        try (SSLSocket socket =
                (SSLSocket) context.getSocketFactory().createSocket("localhost", port)) {
            socket.getOutputStream().write("GET / HTTP/1.0\r\n\r\n".getBytes());
            return new String(socket.getInputStream().readNBytes(8)).equals("HTTP/1.1") ? "in" : "out";
        } catch (IOException e) {
            return "out";
        }
    }

    public static void main(String[] arguments) throws Exception {
        TrustManagerFactory trusted = TrustManagerFactory.getInstance("PKIX");
        trusted.init(trust(arguments[1]));
        for (int i = 2; i < arguments.length; i++) {
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(keys(arguments[i]), trusted.getTrustManagers(), null);
            System.out.println(get(context, Integer.parseInt(arguments[0])));
        }
    }
}
