"""What leaves a context of OpenSSL's: settings, connections, sessions, buffers.

Run by the patched interpreter: python tests/cpython/test_tls.py
"""
import contextlib
import gc
import http.client
import os
import resource
import socket
import ssl
import subprocess
import sys
import tempfile
import test
import textwrap
import unittest
import urllib.request
import warnings

import parallel
from support import (
    DescriptorCase, crossing_without_memory, descriptors, in_context)

ENTRY = parallel.call_from_main_thread_and_wait
LATER = parallel.call_from_main_thread

DATA = os.path.join(test.__path__[0], "certdata")  # CPython's own certificates
CERTIFICATE = os.path.join(DATA, "keycert3.pem")
AUTHORITY = os.path.join(DATA, "pycacert.pem")


def for_server(kind=ssl.SSLContext):
    made = kind(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(CERTIFICATE)
    return made


def for_client(kind=ssl.SSLContext):
    made = kind(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(AUTHORITY)
    return made


def shake_hands(*sides):
    """In turns, as long as one has to wait for the other."""
    waiting = list(sides)
    while waiting:
        for one in list(waiting):
            with contextlib.suppress(ssl.SSLWantReadError):
                one.do_handshake()
                waiting.remove(one)


def connect(server=None, client=None, **options):
    """Two sides of a connection: (client, server), which block."""
    one, other = socket.socketpair()
    one.setblocking(False)
    other.setblocking(False)
    sides = [
        (client or for_client()).wrap_socket(
            one, server_hostname="localhost", do_handshake_on_connect=False, **options),
        (server or for_server()).wrap_socket(
            other, server_side=True, do_handshake_on_connect=False)]
    shake_hands(*sides)
    for side in sides:
        side.setblocking(True)
    return sides


def in_memory(server=None, client=None):
    """Two sides over buffers, and what makes them shake hands."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [(client or for_client()).wrap_bio(back, there, server_hostname="localhost"),
             (server or for_server()).wrap_bio(there, back, server_side=True)]
    shake_hands(*sides)
    return sides


def talk(test, one, other):
    """Each hears the other."""
    for speaker, hearer in ((one, other), (other, one)) * 2:
        speaker.write(b"text" * 100)
        test.assertEqual(hearer.read(1), b"t")
        test.assertEqual(hearer.read(399), b"ext" + b"text" * 99)


class Shout(ssl.SSLSocket):
    """A class derived from it, with a slot and a method."""
    __slots__ = ("mark",)

    def write(self, text):
        return super().write(text.upper())


class Settings(ssl.SSLContext):
    __slots__ = ("mark",)
    sslsocket_class = Shout


class Case(DescriptorCase):
    @classmethod
    def setUpClass(cls):
        for run in in_context, lambda body: body():  # makes descriptors of its own
            run(lambda: [side.close() for side in connect()] and None)


class OfSettings(Case):
    def test_what_has_been_set(self):
        def body():
            made = for_server()
            made.minimum_version = ssl.TLSVersion.TLSv1_2
            made.set_ciphers("ECDHE+AESGCM")
            made.options |= ssl.OP_NO_TICKET
            made.verify_mode = ssl.CERT_OPTIONAL
            made.verify_flags |= ssl.VERIFY_X509_STRICT
            made.load_verify_locations(AUTHORITY)
            made.num_tickets = 1
            made.post_handshake_auth = True
            return made
        got, want = in_context(body), body()
        self.assertIs(type(got), ssl.SSLContext)
        for name in ("minimum_version", "options", "verify_mode", "verify_flags", "protocol",
                     "check_hostname", "num_tickets", "post_handshake_auth",
                     "security_level", "hostname_checks_common_name", "sni_callback"):
            self.assertEqual(getattr(got, name), getattr(want, name), name)
        self.assertEqual(got.get_ciphers(), want.get_ciphers())
        self.assertEqual(got.get_ca_certs(), want.get_ca_certs())
        self.assertEqual(got.cert_store_stats(), want.cert_store_stats())

    def test_protocols(self):
        """Which the server chooses by its own list."""
        def body():
            sides = for_server(), for_client()
            for side, names in zip(sides, (["b", "a"], ["a", "b"])):
                side.set_alpn_protocols(names)
            return sides
        sides = in_context(body)
        in_context(bytearray, 1 << 20)
        one, other = in_memory(*sides)
        self.assertEqual(one.selected_alpn_protocol(), "b")
        self.assertEqual(other.selected_alpn_protocol(), "b")

    def test_who_is_asked_for_a_name(self):
        def body():
            seen = []
            made = for_server()
            made.sni_callback = lambda *what: seen.append(what)
            return made, seen
        made, seen = in_context(body)
        one, other = in_memory(made)
        talk(self, one, other)
        (asking, name, settings), = seen
        self.assertIs(asking, other)
        self.assertIs(settings, made)
        self.assertEqual(name, "localhost")
        made.sni_callback = None
        seen.clear()

    def test_who_hears_of_messages(self):
        def body():
            seen = []
            made = for_client()
            made._msg_callback = lambda *what: seen.append(what[0])
            return made, seen
        made, seen = in_context(body)
        one, other = in_memory(client=made)
        self.assertEqual({id(one)}, {id(it) for it in seen})
        made._msg_callback = None
        seen.clear()

    def test_a_log_of_keys(self):
        def body():
            made = for_client()
            made.keylog_filename = path
            return made
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "keys")
            made = in_context(body)
            self.assertEqual(made.keylog_filename, path)
            in_memory(client=made)
            with open(path) as file:
                self.assertIn("CLIENT_HANDSHAKE_TRAFFIC_SECRET", file.read())

    @unittest.skipUnless(ssl.HAS_PSK, "no keys beforehand")
    def test_keys_beforehand(self):
        def body():
            sides = []
            for protocol in ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT:
                made = ssl.SSLContext(protocol)
                made.check_hostname = False
                made.verify_mode = ssl.CERT_NONE
                made.maximum_version = ssl.TLSVersion.TLSv1_2
                made.set_ciphers("PSK")
                sides.append(made)
            key = bytes.fromhex("c0ffee")
            sides[0].set_psk_server_callback(lambda name: key, "hint")
            sides[1].set_psk_client_callback(lambda hint: (hint, key))
            return sides
        talk(self, *in_memory(*in_context(body)))

    def test_derived_classes(self):
        def body():
            made = for_server(Settings)
            made.mark = [made]
            one, other = connect(made)
            other.mark = [other]
            return made, one, other
        made, one, other = in_context(body)
        with one, other:
            self.assertIs(made.mark[0], made)
            self.assertIs(other.mark[0], other)
            self.assertEqual((type(made), type(other)), (Settings, Shout))
            other.write(b"text")
            self.assertEqual(one.read(), b"TEXT")
        talk(self, *in_memory(made))
        del made.mark, other.mark

    def test_of_several(self):
        """What had them in common still has."""
        def body():
            made = for_server()
            return [connect(made), connect(made)]
        (one, other), (third, fourth) = in_context(body)
        with one, other, third, fourth:
            self.assertIs(other.context, fourth.context)
            self.assertIsNot(one.context, third.context)
            self.assertIs(other.context, other._sslobj.context)

    def test_main_s_own(self):
        server = for_server()
        one, other = in_context(connect, server)
        with one, other:
            self.assertIs(other.context, server)
            talk(self, one, other)


class OfConnections(Case):
    def test_goes_on(self):
        one, other = in_context(connect)
        with one, other:
            self.assertIs(type(one), ssl.SSLSocket)
            talk(self, one, other)
            self.assertEqual(one.version(), other.version())
            self.assertEqual(one.getpeercert()["subject"][-1], (("commonName", "localhost"),))
            self.assertEqual(one.server_hostname, "localhost")
            self.assertIs(one._sslobj.owner, one)
            self.assertFalse(one.server_side)
            self.assertTrue(other.server_side)

    def test_in_the_midst_of_a_message(self):
        def body():
            one, other = connect()
            one.sendall(b"half and half")
            return other.read(5), one, other
        begin, one, other = in_context(body)
        with one, other:
            self.assertEqual(other.pending(), 8)
            self.assertEqual(begin + other.read(), b"half and half")
            talk(self, one, other)

    def test_in_the_midst_of_a_handshake(self):
        def body():
            one, other = socket.socketpair()
            one.setblocking(False)
            one = for_client().wrap_socket(one, server_hostname="localhost",
                                           do_handshake_on_connect=False)
            with contextlib.suppress(ssl.SSLWantReadError):
                one.do_handshake()
            return one, other
        one, other = in_context(body)
        other.setblocking(False)
        other = for_server().wrap_socket(other, server_side=True,
                                         do_handshake_on_connect=False)
        with one, other:
            shake_hands(one, other)
            talk(self, one, other)

    def test_timeouts(self):
        def body():
            one, other = connect()
            one.settimeout(0.01)
            return one, other
        one, other = in_context(body)
        with one, other:
            self.assertRaises(TimeoutError, one.read)
            other.write(b"x")
            self.assertEqual(one.read(), b"x")

    def test_makefile(self):
        def body():
            one, other = connect()
            one.sendall(b"first\nsecond\n")
            file = other.makefile("rw")
            return file.readline(), file, one, other
        line, file, one, other = in_context(body)
        with file, one, other:
            self.assertEqual(line + file.readline(), "first\nsecond\n")
            file.write("third\n")
            file.flush()
            self.assertEqual(one.read(), b"third\n")

    def test_shut_down(self):
        def body():
            one, other = connect()
            one.setblocking(False)
            with contextlib.suppress(ssl.SSLWantReadError):
                one.unwrap()
            one.setblocking(True)
            return one, other
        one, other = in_context(body)
        self.assertEqual(other.read(), b"")
        with other.unwrap() as plain, one.unwrap() as end:
            plain.sendall(b"plain")
            self.assertEqual(end.recv(9), b"plain")

    def test_a_refused_certificate(self):
        """An error of the module's, with all it has."""
        with self.assertRaises(ssl.SSLCertVerificationError) as caught:
            in_context(connect, None, ssl.create_default_context())
        self.assertEqual(caught.exception.reason, "CERTIFICATE_VERIFY_FAILED")

    def test_not_used(self):
        for _ in range(3):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                in_context(connect)
                gc.collect()
            self.assertEqual([one.category for one in caught], [ResourceWarning] * 2)

    def test_without_its_owner(self):
        """What the class does not say that it has comes along."""
        one, context = in_context(lambda: [it := in_memory()[0]._sslobj, it.context])
        self.assertIs(one.context, context)
        one = in_context(lambda: connect()[0]._sslobj)
        self.assertEqual(one.server_hostname, "localhost")
        self.assertIsNone(one.owner)
        self.assertEqual(one.context.verify_mode, ssl.CERT_REQUIRED)
        with self.assertRaisesRegex(ssl.SSLError, "gone"):
            one.write(b"x")

    def test_over_buffers(self):
        def body():
            one, other = in_memory()
            one.write(b"before")
            return one, other
        one, other = in_context(body)
        self.assertIs(type(one), ssl.SSLObject)
        self.assertEqual(other.read(), b"before")
        talk(self, one, other)

    def test_buffers(self):
        def body(over):
            made = ssl.MemoryBIO()
            made.write(b"some text")
            begin = made.read(5)
            if over:
                made.write_eof()
            return begin, made, ENTRY(lambda it: (it.read(), it.eof))(made)
        for over in False, True:
            begin, made, seen = in_context(body, over)
            self.assertEqual(seen, (b"text", over))
            self.assertEqual(begin + made.read(), b"some text")
            self.assertEqual(made.eof, over)
            if not over:
                made.write(b"more")
                self.assertEqual(made.read(), b"more")

    def test_sessions(self):
        def body(client, server):
            one, other = connect(server, client)
            other.write(b"x")
            one.read()  # and a ticket
            with one, other:
                return one.session
        client, server = for_client(), for_server()
        seen = in_context(body, client, server)
        self.assertIs(type(seen), ssl.SSLSession)
        self.assertTrue(seen.has_ticket)
        one, other = connect(server, client, session=seen)
        with one, other:
            self.assertTrue(one.session_reused)
        made, seen = in_context(lambda: [it := for_client(), body(it, server)])
        one, other = connect(server, made, session=seen)
        with one, other:
            self.assertTrue(one.session_reused)

    def test_certificates(self):
        def body():
            mine, = in_memory()[0]._sslobj.get_unverified_chain()
            return mine, hash(mine), ENTRY(lambda it: it.public_bytes())(mine)
        mine, number, text = in_context(body)
        self.assertEqual(hash(mine), number)
        self.assertEqual(mine.public_bytes(), text)
        self.assertIn("localhost", str(mine.get_info()))

    def test_memory(self):
        def use():
            one, other = in_context(connect)
            one.close()
            other.close()
            with self.assertRaises(parallel.PersistenceError):
                in_context(lambda: [in_memory(), sys._getframe()])
        for _ in range(50):
            use()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(100):
            use()
        self.assertLess(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, 4 << 10)


class Twice(Case):
    """What is an argument of a call."""

    def test_a_callback_that_goes_on(self):
        def body(part):
            sides = connect()
            with sides[0], sides[1]:
                try:
                    ENTRY(print)(part(sides[0]))
                finally:
                    sides[0].write(b"text")
                    self.assertEqual(sides[1].read(), b"text")
        for part in (lambda it: it, lambda it: it.context, lambda it: [it, it.context]):
            with self.assertRaisesRegex(parallel.PersistenceError, "SSL.*once"):
                in_context(body, part)

    def test_a_call_alone(self):
        seen = []
        in_context(lambda: LATER(lambda *sides: seen.extend(sides))(*connect()))
        parallel.run()
        with seen[0], seen[1]:
            talk(self, *seen)

    def test_two_calls(self):
        """The second gets an error, and what has left with the first is whole."""
        def body(part):
            sides = connect()
            LATER(seen.append)(sides)
            LATER(seen.append)(part(sides[0]))
        for part in (lambda it: it), (lambda it: it.context), (lambda it: it._sslobj):
            seen = []
            with self.assertRaisesRegex(parallel.PersistenceError, "another result|once"):
                in_context(body, part)
            (one, other), = seen
            with one, other:
                talk(self, one, other)

    def test_without_its_socket(self):
        """Which has left with another result."""
        def body():
            one, other = connect()
            inner, one._sslobj = one._sslobj, None
            LATER(seen.append)([one, other])
            LATER(seen.append)(inner)
        seen = []
        with self.assertRaisesRegex(parallel.PersistenceError, "its socket"):
            in_context(body)
        for one in seen.pop():
            one.close()


class NotLeft(Case):
    """The outcome fails to leave, its connections are closed as what is dropped is."""

    def test_beside_what_is_refused(self):
        for order in 1, -1:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                with self.assertRaises(parallel.PersistenceError):
                    in_context(lambda: [*connect(), in_memory(), sys._getframe()][::order])
                gc.collect()
            self.assertEqual([one.category for one in caught], [ResourceWarning] * 2)
            self.assertEqual(descriptors(), self.before)

    def test_what_cannot_leave_on_the_way(self):
        def body():
            made = for_server()
            made.sni_callback = lambda *what, frame=sys._getframe(): None
            return connect(made)
        with warnings.catch_warnings(record=True):
            with self.assertRaises(parallel.PersistenceError):
                in_context(body)
            gc.collect()

    def test_attributes_of_exceptions(self):
        """One is left out, and the connection is as it was."""
        def body():
            error = ValueError("text")
            one, other = connect()
            error.file = [one, sys._getframe()]
            error.other = one, other
            raise error
        with self.assertRaises(ValueError) as caught:
            in_context(body)
        one, other = caught.exception.other
        with one, other:
            talk(self, one, other)

    def test_without_memory(self):
        """Wherever it fails, all or nothing leaves."""
        def use(make, first, count):
            gc.collect()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                kept = crossing_without_memory(make, first, count)
                got = kept.pop() if kept else None
                if got is not MemoryError:
                    talk(self, *got)
                del got, kept
                gc.collect()
            self.assertEqual(descriptors(), self.before)

        def sides():
            server = for_server()
            server.set_alpn_protocols(["a"])
            server.sni_callback = lambda *what: None
            return [*connect(server)]
        for make in sides, lambda: [*in_memory()]:
            for first in range(1, 60):
                use(make, first, 1)
                use(make, first, 1000)


class OverTheNet(Case):
    """What the library builds on it, with a server in another process."""
    SERVER = """
        import http.server, ssl, sys
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", "100000")
                self.end_headers()
                self.wfile.write(b"0123456789" * 10000)
            def log_message(self, *what):
                pass
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(sys.argv[1])
        server.socket = made.wrap_socket(server.socket, server_side=True)
        print(server.server_port, flush=True)
        server.serve_forever()
        """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(cls.SERVER), CERTIFICATE],
            stdout=subprocess.PIPE, text=True)
        cls.port = int(cls.server.stdout.readline())
        cls.client = for_client()
        cls.client.check_hostname = False

    @classmethod
    def tearDownClass(cls):
        cls.server.terminate()
        cls.server.communicate()

    def test_a_connection(self):
        def body():
            connection = http.client.HTTPSConnection("127.0.0.1", self.port,
                                                     context=self.client)
            connection.connect()
            return connection
        connection = in_context(body)
        for _ in range(2):
            connection.request("GET", "/")
            self.assertEqual(len(connection.getresponse().read()), 100_000)
        connection.close()

    def test_a_response(self):
        def body():
            response = urllib.request.urlopen(f"https://127.0.0.1:{self.port}/",
                                              context=self.client)
            return response, response.read(12345)
        response, begin = in_context(body)
        with response:
            self.assertEqual(response.status, 200)
            self.assertEqual(begin + response.read(), b"0123456789" * 10_000)


if __name__ == "__main__":
    unittest.main()
