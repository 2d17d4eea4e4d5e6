// SPDX-License-Identifier: ISC
import java.io.FileInputStream;
import java.io.IOException;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/** CA [PORT STORE]...: on each port answers clients that show a certificate of CA, with what is in
 * the PKCS#12 store (password "secret"). */
class MutualServer {
    static SSLContext context(String ca, String path) throws Exception {
        KeyStore own = KeyStore.getInstance("PKCS12"), trust = KeyStore.getInstance("PKCS12");
        char[] password = "secret".toCharArray();
        KeyManagerFactory keys = KeyManagerFactory.getInstance("SunX509");
        TrustManagerFactory trusted = TrustManagerFactory.getInstance("PKIX");
        SSLContext context = SSLContext.getInstance("TLS");

        try (FileInputStream in = new FileInputStream(path)) {
            own.load(in, password);
        }
        trust.load(null, null);
        try (FileInputStream in = new FileInputStream(ca)) {
            trust.setCertificateEntry(
                    "ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        keys.init(own, password);
        trusted.init(trust);
        context.init(keys.getKeyManagers(), trusted.getTrustManagers(), null);
        return context;
    }

    static void serve(SSLServerSocket listener) {
        while (true) {
            try (SSLSocket socket = (SSLSocket) listener.accept()) {
                socket.getInputStream().read(new byte[4096]);
                socket.getOutputStream().write("HTTP/1.0 200 OK\r\n\r\nok".getBytes());
            } catch (IOException e) {
                System.err.println(e);
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        for (int i = 1; i < arguments.length; i += 2) {
            SSLServerSocket listener =
                    (SSLServerSocket)
                            context(arguments[0], arguments[i + 1])
                                    .getServerSocketFactory()
                                    .createServerSocket(Integer.parseInt(arguments[i]));
            listener.setNeedClientAuth(true);
            new Thread(() -> serve(listener)).start();
        }
    }
}
